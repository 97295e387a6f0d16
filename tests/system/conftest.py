import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import BINARY, Server, leftovers_of_all, new_data_dir, see  # noqa: E402


def pytest_configure(config):
    os.environ["XDG_DATA_HOME"] = str(new_data_dir())  # no test may touch the user's own data
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing; run: tools/quickstart", returncode=2)


@pytest.fixture(scope="session")
def long_lived_data_dir():
    """One data directory for all long-lived servers, one after the other, so that each Python
    environment is built once."""
    return new_data_dir()


@pytest.fixture(scope="session")
def shared_dir():
    """A host folder that steps of the long-lived servers may write, at its own path."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caudal-shared-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind():
    """At the end of everything, no process of any server of these tests may be there."""
    yield
    left = leftovers_of_all()
    assert not left, f"processes were left behind: {left}"


def kernel_makes_namespaces():
    words = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"]
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.fixture(scope="session", params=["sandbox", "process"])
def server(request, long_lived_data_dir, shared_dir):
    """The long-lived server of one isolation. Tests that use it give their objects unique names."""
    made = Server(long_lived_data_dir, request.param, see(shared_dir))
    try:
        made.start()
    except RuntimeError as error:
        if request.param == "sandbox" and not kernel_makes_namespaces():
            pytest.skip(f"no namespaces on this machine: {error}")
        raise
    yield made
    last = request.param == "process"
    code, left = made.stop(), made.end_leftovers()
    if last:
        subprocess.run(["rm", "-rf", str(long_lived_data_dir.parent)], check=False)
    assert code == 0, f"server ended with {code}:\n{made.log_text()}"
    assert not left, f"processes were left behind: {left}"


@pytest.fixture
def isolation(server):
    return server.isolation


@pytest.fixture
def fresh():
    """Makes servers of their own for one test; all are gone, with their steps, at its end."""
    made = []

    def make(**options):
        made.append(Server(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def unique():
    """A name that no other test uses."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def client_of():
    """kfp.Client of a server, with the client's context file kept out of the user's home."""
    home = os.environ.get("HOME", "")
    os.environ["HOME"] = str(new_data_dir().parent)  # read once, when the client is imported
    import kfp.client.client
    os.environ["HOME"] = home

    clients = {}

    def make(server):
        if server.url not in clients:
            clients[server.url] = kfp.client.Client(host=server.url)
        return clients[server.url]

    return make


def pytest_runtest_logreport(report):
    """Notes in CAUDAL_ISOLATION_LOG which isolation each passed test really had."""
    target = os.environ.get("CAUDAL_ISOLATION_LOG")
    if target and report.when == "call" and report.passed:
        for isolation in ("process", "sandbox"):
            if f"[{isolation}" in report.nodeid or f"-{isolation}" in report.nodeid:
                with open(target, "a") as file:
                    file.write(isolation + "\n")


def pytest_assertrepr_compare(op, left, right):
    if op == "==" and isinstance(left, dict) and isinstance(right, dict):
        return ["dicts differ:", "got:  " + json.dumps(left, sort_keys=True, default=str)[:1500],
                "want: " + json.dumps(right, sort_keys=True, default=str)[:1500]]
    return None
