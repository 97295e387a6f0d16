"""Python environments: built once, shared, refreshed, pruned; offline, with pip and with uv.

Every package comes from a folder of wheels that the test makes.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

from harness import caudal, see, steps_of, wait_until
from installers import InstallerWatch
from ir import pipeline, step
from wheels import component, write_kfp, write_tiny, write_wheel

UV = shutil.which("uv", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
SAY_VERSION = "import tiny\nreturn tiny.VERSION"


def python_step(body, packages=("tiny",), **fields):
    command, args = component(body, packages)
    return step(command, args=args, out={"Output": "STRING"}, image="python:3.11", **fields)


def one(body=SAY_VERSION, packages=("tiny",), **fields):
    return pipeline("one", {"say": python_step(body, packages, **fields)})


@pytest.fixture
def wheels():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caudal-wheels-"))
    folder.chmod(0o755)
    write_kfp(folder)
    write_tiny(folder, "1.0")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(fresh, wheels):
    """Makes servers that know no index but the folder of wheels."""
    def make(isolation="process", installer="pip", flags=(), **env):
        if installer == "uv" and UV is None:
            pytest.skip("uv is not installed")
        uv = env.pop("CAUDAL_UV", UV if installer == "uv" else "")
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": "/dev/null",
                   "CAUDAL_UV": uv}
        return fresh(isolation=isolation, flags=flags, env={**offline, **env}).start()
    return make


both_isolations = pytest.mark.parametrize("isolation", ["sandbox", "process"])
both_installers = pytest.mark.parametrize("installer", ["pip", "uv"])


def value_of(server, report, path="say"):
    assert report["state"] == "SUCCEEDED", (report, server.log_of(report, path))
    return server.task(report, path)["outputs"]["Output"]


def environments_of(server):
    return server.get("/apis/caudal/v1/environments").get("environments", [])


def one_environment(server):
    """The only environment there is."""
    found = environments_of(server)
    assert len(found) == 1, found
    return server.get(f"/apis/caudal/v1/environments/{found[0]['id']}")


def installs_of(server):
    """Installer processes that were ever started for the data directory."""
    log = server.data_dir / "envs" / "installs.log"
    return log.read_text().splitlines() if log.exists() else []


@both_isolations
@both_installers
def test_second_run_starts_no_installer(start, isolation, installer):
    server = start(isolation, installer)
    assert value_of(server, server.run(one())) == "1.0"
    before = installs_of(server)
    assert [line.split()[2] for line in before] == ["venv:", f"{installer}:", f"{installer}:", "pip:"]
    with InstallerWatch(server.data_dir) as watch:
        assert value_of(server, server.run(one())) == "1.0"
        server.restart()
        assert value_of(server, server.run(one())) == "1.0"
    assert watch.seen == {}
    assert installs_of(server) == before
    environment = one_environment(server)
    assert environment["installer"].split()[0] == installer
    assert "kfp==9.1.0" in environment["lock"] and "tiny==1.0" in environment["lock"]
    assert environment["requirements"][0] == "tiny"


def test_the_watch_sees_installers(start):
    """Else the test above would prove nothing."""
    server = start()
    with InstallerWatch(server.data_dir) as watch:
        server.run(one())
    assert watch.count >= 3, watch.seen


@both_isolations
def test_first_users_share_one_build(start, isolation):
    server = start(isolation)
    spec = pipeline("many", {f"say-{n}": python_step(SAY_VERSION) for n in range(6)})
    runs = [server.create_run(spec) for _ in range(2)]
    for run in runs:
        assert value_of(server, server.wait(run, timeout=120), "say-3") == "1.0"
    assert sum("venv:" in line for line in installs_of(server)) == 1
    assert len(environments_of(server)) == 1


@both_isolations
@both_installers
def test_environments_share_their_files(start, wheels, isolation, installer):
    write_tiny(wheels, "3.0", name="other")
    server = start(isolation, installer)
    assert value_of(server, server.run(one())) == "1.0"
    assert value_of(server, server.run(one(packages=["tiny", "other"]))) == "1.0"
    folders = [pathlib.Path(e["path"]) for e in environments_of(server)]
    assert len(folders) == 2

    def inodes(name):
        files = [path for folder in folders for path in folder.glob(f"lib/*/site-packages/{name}")]
        assert len(files) == 2, files
        for path in files:
            assert not path.stat().st_mode & 0o222, f"{path} can be written"
        return {path.stat().st_ino for path in files}
    for name in ("tiny.py", "__pycache__/tiny.*.pyc", "kfp/dsl/executor_main.py",
                 "pip/__init__.py", "pip/_vendor/rich/console.py"):
        assert len(inodes(name)) == 1, f"{name} is there twice"

    sizes = [int(e["size_bytes"]) for e in environments_of(server)]
    planned = server.post("/apis/caudal/v1/environments:prune", {"dry_run": True})
    assert int(planned["freed_bytes"]) < sum(sizes) * 0.75, "shared files count once"
    assert len(environments_of(server)) == 2


@both_isolations
def test_failure_has_the_installers_words_and_is_tried_again(start, wheels, isolation):
    server = start(isolation)
    spec = one("import late\nreturn late.VERSION", ["late==2.0"])
    report = server.run(spec)
    assert report["state"] == "FAILED"
    task = server.task(report, "say")
    assert "cannot install 'late==2.0'" in task["error"]
    assert "No matching distribution found for late==2.0" in task["error"]
    assert environments_of(server) == []
    assert not list(server.data_dir.glob("envs/*.1")), "a failed build leaves files"

    write_tiny(wheels, "2.0", name="late")
    assert value_of(server, server.run(spec)) == "2.0"
    assert one_environment(server)["build"] == 1


@both_installers
def test_failure_of_each_installer(start, installer):
    server = start("process", installer)
    error = server.task(server.run(one(packages=["nowhere==7"])), "say")["error"]
    assert "cannot install 'nowhere==7'" in error
    assert ("No matching distribution" if installer == "pip" else "no solution found") in \
        error.replace("No solution", "no solution"), error


@both_isolations
def test_constraints_are_heeded_and_their_text_is_part_of_the_key(start, wheels, isolation):
    write_tiny(wheels, "2.0")
    limit = wheels / "limits.txt"
    limit.write_text("tiny<2\n")
    limit.chmod(0o644)
    for installer in ("pip", "uv") if UV else ("pip",):
        server = start(isolation, installer, PIP_CONSTRAINT=str(limit))
        limit.write_text("tiny<2\n")
        server.restart()
        assert value_of(server, server.run(one())) == "1.0", installer
        limit.write_text("tiny>1\n")
        server.restart()
        assert value_of(server, server.run(one())) == "2.0", installer


@both_isolations
def test_no_deps_holds_for_its_call_only(start, wheels, isolation):
    write_wheel(wheels, "needy", "1.0", {"needy.py": ""}, requires=["tiny"])
    for installer in ("pip", "uv") if UV else ("pip",):
        server = start(isolation, installer)
        assert value_of(server, server.run(one(packages=["needy"]))) == "1.0"
        report = server.run(one(packages=["needy", "--no-deps"]))
        assert report["state"] == "FAILED"
        assert "No module named 'tiny'" in server.log_of(report, "say")


@both_installers
def test_refresh_moves_what_is_not_pinned(start, wheels, installer):
    server = start("sandbox", installer)
    first_run = server.run(one())
    assert value_of(server, first_run) == "1.0"
    first = one_environment(server)
    write_tiny(wheels, "2.0")
    assert value_of(server, server.run(one())) == "1.0", "an environment changed by itself"

    second = server.post(f"/apis/caudal/v1/environments/{first['key'][:12]}:refresh")
    assert second["id"] == first["key"] + ".2" and "tiny==2.0" in second["lock"]
    again = server.run(one())
    assert value_of(server, again) == "2.0"

    # The records tell them apart, also when the old build is gone.
    server.post("/apis/caudal/v1/environments:prune", {})
    for report, build in (first_run, first), (again, second):
        (used,) = server.get(f"/apis/caudal/v1/runs/{report['run_id']}/provenance")["environments"]
        assert (used["id"], used["lock"]) == (build["id"], build["lock"])


def test_refresh_after_a_restart_with_other_settings_is_refused(start, wheels):
    server = start()
    server.run(one())
    key = one_environment(server)["key"]
    server.env["PIP_PRE"] = "1"
    server.restart()
    answer = server.call("POST", f"/apis/caudal/v1/environments/{key}:refresh", {})
    assert answer.status_code == 400 and "other settings" in answer.json()["message"], answer.text


@both_isolations
def test_prune_spares_what_runs(start, shared_dir, isolation):
    go = shared_dir / f"go-{isolation}-{os.getpid()}"
    server = start(isolation, flags=see(shared_dir))
    body = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\n{SAY_VERSION}"
    run = server.create_run(one(body))
    wait_until(lambda: steps_of(server.data_dir), 60, "step")
    busy = one_environment(server)
    prune = "/apis/caudal/v1/environments:prune"
    assert server.post(prune, {}).get("removed", []) == []
    server.kill9()  # who takes the step over takes its environment over, too
    server.start()
    assert server.post(prune, {}).get("removed", []) == []
    go.touch()
    report = server.wait(run)
    assert value_of(server, report) == "1.0"

    assert server.post(prune, {"unused_for_seconds": 3600}).get("removed", []) == []
    assert [e["id"] for e in server.post(prune, {"dry_run": True})["removed"]] == [busy["id"]]
    done = wait_until(lambda: server.post(prune, {}) if environments_of(server) else None, 5, "prune")
    assert [e["id"] for e in done["removed"]] == [busy["id"]]
    assert int(done["freed_bytes"]) > 1_000_000
    assert not pathlib.Path(busy["path"]).exists()
    assert list((server.data_dir / "envs" / "removed").iterdir()) == []

    server.restart()
    kept = server.get(f"/apis/caudal/v1/environments/{busy['id']}")
    assert kept["is_removed"] and kept["lock"] == busy["lock"] and "path" not in kept
    (used,) = server.get(f"/apis/caudal/v1/runs/{run}/provenance")["environments"]
    assert used["lock"] == busy["lock"]
    assert value_of(server, server.run(one(body))) == "1.0"
    assert one_environment(server)["id"] == busy["key"] + ".2", "a number is never used twice"


def test_a_build_holds_no_cores(start, wheels):
    """Its step waits for the installer; another one has the machine meanwhile."""
    gate = wheels / "gate"
    shim = wheels / "uv"
    shim.write_text(f"""#!/bin/sh
if [ "$1" = --version ]; then echo uv 0.0.1; exit; fi
while [ ! -e '{gate}' ]; do sleep 0.02; done
shift 2
while [ "$1" != --python ]; do shift; done
python=$2
for word; do case $word in kfp*|tiny*) set -- "$@" "$word";; esac; shift; done
exec "$python" -m pip install --no-compile "$@"
""")
    shim.chmod(0o755)
    server = start(flags=["--cores", "1"], CAUDAL_UV=str(shim))
    waiting = server.create_run(one(cpu="1"))
    wait_until(lambda: any(" uv: " in line for line in installs_of(server)), 60, "build")
    report = server.report(waiting)
    assert "building the Python environment" in json.dumps(report), report
    other = server.run(pipeline("plain", {"go": step(["sh", "-c", "true"], cpu="1")}))
    assert other["state"] == "SUCCEEDED"
    assert "ended_at" not in server.task(server.report(waiting), "say")

    doomed = server.create_run(one(cpu="1"))
    server.post(f"/runs/{doomed}:terminate")
    assert server.wait(doomed)["state"] == "FAILED", "a run that waits for a build can be ended"
    gate.touch()
    assert value_of(server, server.wait(waiting)) == "1.0"


def test_stopping_ends_a_build(start, wheels):
    """At once, and the next server begins it again."""
    shim = wheels / "uv"
    shim.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo uv 0.0.1 && exit\nsleep 1000\n")
    shim.chmod(0o755)
    server = start(CAUDAL_UV=str(shim))
    run = server.create_run(one())
    wait_until(lambda: any(" uv: " in line for line in installs_of(server)), 60, "build")
    assert server.stop(timeout=10) == 0
    server.env["CAUDAL_UV"] = ""
    server.start()
    assert value_of(server, server.wait(run)) == "1.0"
    assert one_environment(server)["build"] == 1


@both_isolations
def test_kfp_package_of_a_run(start, wheels, isolation):
    write_kfp(wheels, "9.2.0")
    body = "import kfp\nreturn kfp.__version__"
    server = start(isolation)
    assert value_of(server, server.run(one(body))) == "9.1.0"

    def submit(package):
        answer = server.call("POST", "/apis/caudal/v1/runs", {
            "run": {"display_name": "r", "pipeline_spec": one(body)},
            "settings": {"kfp_package": package}})
        assert answer.status_code == 200, answer.text
        return server.wait(answer.json()["run_id"])
    assert value_of(server, submit("kfp==9.2.0")) == "9.2.0"
    local = pathlib.Path(tempfile.mkdtemp(prefix="caudal-kfp-"))
    local.chmod(0o755)
    assert value_of(server, submit(str(write_kfp(local, "9.3.0")))) == "9.3.0"
    shutil.rmtree(local)
    assert value_of(server, server.run(one(body))) == "9.1.0"


def test_a_step_of_an_older_sdk_runs_on_a_newer_kfp(start):
    """The entry module moved after 2.0."""
    spec = one("import kfp\nreturn kfp.__version__")
    text = json.dumps(spec)
    assert "kfp.dsl.executor_main" in text
    server = start()
    old = json.loads(text.replace("kfp.dsl.executor_main", "kfp.components.executor_main"))
    assert value_of(server, server.run(old)) == "9.1.0"


@both_isolations
def test_a_venv_inside_a_step_sees_the_environment(start, isolation):
    server = start(isolation)
    body = """
import subprocess, sys, tempfile
folder = tempfile.mkdtemp() + '/inner'
subprocess.run([sys.executable, '-m', 'venv', '--without-pip', '--system-site-packages', folder], check=True)
words = [folder + '/bin/python', '-c', 'import sys, tiny; print(tiny.VERSION, sys.prefix)']
version, prefix = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
assert prefix == folder, prefix
return version
"""
    assert value_of(server, server.run(one(body))) == "1.0"


def test_compiled_modules_are_ready(start):
    """What is imported in every step is not compiled in every step."""
    server = start("sandbox")
    body = """
import importlib.util, os, tiny
cached = importlib.util.cache_from_source(tiny.__file__)
with open(cached, 'rb') as file:
    header = file.read(16)
source = os.stat(tiny.__file__)
assert int.from_bytes(header[8:12], 'little') == int(source.st_mtime), header
assert tiny.__loader__.get_code('tiny').co_filename == tiny.__file__
return 'ready'
"""
    assert value_of(server, server.run(one(body))) == "ready"


def test_words_of_the_command_line(start, wheels):
    server = start()
    first_run = server.run(one())
    target = ["--server", server.url]

    def json_of(*words):
        done = caudal("venv", *words, "-o", "json", *target)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    (listed,) = json_of("list")
    assert listed["build"] == 1 and "lock" not in listed
    table = caudal("venv", "list", *target)
    assert table.returncode == 0 and listed["id"][:12] in table.stdout and "tiny" in table.stdout
    shown = caudal("venv", "show", listed["id"][:8], *target)
    assert shown.returncode == 0 and "tiny==1.0" in shown.stdout, shown.stderr

    write_tiny(wheels, "2.0")
    refreshed = caudal("venv", "refresh", listed["id"], *target)
    assert refreshed.returncode == 0 and "tiny==2.0" in refreshed.stdout, refreshed.stderr
    assert value_of(server, server.run(one())) == "2.0"

    asked = caudal("venv", "prune", *target)
    assert asked.returncode == 2 and "--yes" in asked.stderr
    assert len(json_of("list")) == 2
    planned = caudal("venv", "prune", "--dry-run", *target)
    assert planned.returncode == 0 and listed["id"][:12] in planned.stdout
    assert caudal("venv", "prune", "--unused-for", "1h", "--yes", *target).returncode == 0
    assert len(json_of("list")) == 2
    assert caudal("venv", "prune", "--yes", *target).returncode == 0
    assert json_of("list") == []
    kept = json_of("show", listed["id"])
    assert kept["is_removed"] and "tiny==1.0" in kept["lock"]
    missing = caudal("venv", "show", "f" * 9, *target)
    assert missing.returncode == 2 and "caudal venv list" in missing.stderr
    assert first_run["state"] == "SUCCEEDED"
