"""`caudal run x.py`: compiled by the user's own SDK, with local code and variables for its steps, and
a record of where it came from."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import textwrap

import pytest

from harness import BINARY, Server, caudal, processes_of, report_of, wait_until

# Steps run on what the machine has; `say` needs no SDK, so that a step costs milliseconds.
SAY = '''
from kfp import dsl

@dsl.container_component
def say(text: str, result: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", 'printf %s "$0" > "$1"'],
                             args=[text, result])
'''
ONE = SAY + '''
@dsl.pipeline(name="one")
def one(text: str = "hello") -> str:
    return say(text=text).outputs["result"]
'''
# Imports the module `tool`, which is local code, with the Python that steps get.
IMPORTS = '''
from kfp import dsl

@dsl.container_component
def use(result: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="python:3.11", command=["python3", "-c", """
import os, sys
sys.path.insert(0, os.environ.get("PYTHONPATH", "").split(":")[0])
{body}
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
open(sys.argv[1], "w").write(str(value))
"""], args=[result])

@dsl.pipeline(name="use-code")
def use_code() -> str:
    return use().outputs["result"]
'''


@pytest.fixture(scope="module")
def python():
    """The Python that has the SDK: the one that runs the tests."""
    return {"CAUDAL_PYTHON": sys.executable, "VIRTUAL_ENV": ""}


@pytest.fixture(scope="module", params=["sandbox", "process"])
def host(request):
    server = Server(isolation=request.param)
    try:
        server.start()
    except RuntimeError as error:
        pytest.skip(f"no {request.param} on this machine: {error}")
    yield server
    caudal("server", "stop", "--data-dir", server.data_dir)
    server.close()


@pytest.fixture(scope="module")
def plain():
    """A server for what does not depend on the isolation of steps."""
    server = Server(isolation="process").start()
    yield server
    caudal("server", "stop", "--data-dir", server.data_dir)
    server.close()


@pytest.fixture
def run(plain, tmp_path, python):
    """Writes files, and runs one of them from their folder."""
    def call(file, *words, files=(), server=plain, env=None):
        for name, text in dict(files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return caudal("run", file, "--data-dir", server.data_dir, *words, cwd=tmp_path,
                      env={**python, **(env or {})})
    return call


def compilers_of(server):
    return {pid: words for pid, words in processes_of(server.data_dir).items()
            if "caudal_compiler" in words}


def the_compiler_of(server):
    """The pid of the one that listens, not of what it forked."""
    found = compilers_of(server)
    parents = {pid for pid in found
               if int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
               not in found}
    assert len(parents) == 1, found
    return parents.pop()


def provenance(server, run_id):
    return server.get(f"/apis/caudal/v1/runs/{run_id}/provenance")


# --- Compiling.


def test_a_python_file_runs(run):
    report = report_of(run("one.py", "-p", "text=hi", "--json", files={"one.py": ONE}))
    assert report["state"] == "SUCCEEDED" and report["outputs"] == {"Output": "hi"}


def test_what_the_file_prints_goes_to_standard_error(run):
    done = run("one.py", "--json", files={"one.py": ONE + "\nimport sys\nprint('out loud')\n"
                                          "print('loud error', file=sys.stderr)\n"})
    assert report_of(done)["state"] == "SUCCEEDED"
    assert "out loud" in done.stderr and "loud error" in done.stderr


def test_the_file_is_imported_and_not_run_as_main(run):
    done = run("one.py", "--json", files={
        "one.py": ONE + "\nif __name__ == '__main__':\n    raise SystemExit('never')\n"})
    assert report_of(done)["state"] == "SUCCEEDED", done.stderr


def test_a_component_runs_as_a_pipeline_of_one_step(run):
    done = run("say.py", "-p", "text=alone", "--json", files={"say.py": SAY})
    assert report_of(done)["outputs"] == {"result": "alone"}


def test_modules_beside_the_file_are_found_and_read_anew(run):
    source = ONE.replace('"hello"', "words.WORD").replace("from kfp", "import words\nfrom kfp", 1)
    for word in ("first", "other"):  # within a second, and of the same size
        done = run("one.py", "--json", files={"one.py": source, "words.py": f"WORD = {word!r}\n"})
        assert report_of(done)["outputs"] == {"Output": word}


def test_surroundings_are_the_callers(run, tmp_path):
    source = ONE.replace('"hello"', "os.getcwd() + os.environ['MINE']")
    done = run("deep/one.py", "--json", files={"deep/one.py": "import os\n" + source},
               env={"MINE": "!"})
    assert report_of(done)["outputs"] == {"Output": f"{tmp_path}!"}


def test_no_warning_about_images_which_are_advice(run):
    source = "from kfp import dsl\n\n@dsl.component\ndef say() -> str:\n    return 'hi'\n"
    done = run("one.py", "--detach", files={"one.py": source})
    assert done.returncode == 0 and "base_image" not in done.stderr, done.stderr


@pytest.mark.parametrize("name, source, wanted", [
    ("raises", "def inner():\n    raise ValueError('too bad')\n\ninner()\n",
     ["'bad.py' cannot be compiled:\n  Traceback", 'File "bad.py", line 4, in <module>',
      'File "bad.py", line 2, in inner', "ValueError: too bad"]),
    ("fails in the SDK", ONE.replace("say(text=text)", "say(text=3)"),
     ['File "bad.py", line 11, in one', "'STRING'", "Incompatible argument"]),
    ("is no Python", "x = (\n", ['File "bad.py", line 1', "SyntaxError"]),
    ("imports what is not there", "import nowhere_at_all\n",
     ["line 1", "ModuleNotFoundError: No module named 'nowhere_at_all'"]),
    ("ends the process", "import sys\nsys.exit(7)\n", ["sys.exit(7)", "__main__"]),
    ("dies", "import os\nos._exit(7)\n", ["ended without an answer"]),
    ("has no pipeline", "x = 1\n", ["'bad.py' defines no pipeline", "@dsl.pipeline"]),
    ("has several pipelines", ONE + "\n@dsl.pipeline\ndef two():\n    say(text='x')\n",
     ["'bad.py' has 2 pipelines: one, two", "caudal run bad.py:one"]),
    ("has several components", SAY + SAY.replace("def say", "def cry"),
     ["2 components and no pipeline: say, cry", "caudal run bad.py:say"]),
])
def test_faults_are_told_in_the_users_lines(run, plain, name, source, wanted):
    before = plain.get("/runs").get("total_size", 0)
    done = run("bad.py", files={"bad.py": source})
    assert done.returncode == 2, done.stderr
    for words in wanted:
        assert words in done.stderr
    assert "site-packages" not in done.stderr and "caudal_compiler" not in done.stderr
    assert "importlib" not in done.stderr
    assert plain.get("/runs").get("total_size", 0) == before


def test_one_of_several_is_named_after_a_colon(run):
    two = ONE + "\n@dsl.pipeline\ndef two() -> str:\n    return say(text='2').outputs['result']\n"
    done = run("both.py:two", "--json", files={"both.py": two})
    assert report_of(done)["outputs"] == {"Output": "2"}
    done = run("both.py:three")
    assert done.returncode == 2 and "'three' in 'both.py' does not exist; there is: one, two, say" \
        in done.stderr


def test_parameters_are_typed_by_what_was_compiled(run):
    done = run("one.py", "-p", "txt=1", files={"one.py": ONE})
    assert done.returncode == 2 and "'txt'" in done.stderr and "'text'" in done.stderr


def test_a_python_without_the_sdk_is_told_how_to_get_it(run, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = run("one.py", "--python", "bare", files={"one.py": ONE})
    assert done.returncode == 2
    assert f"{tmp_path}/bare/bin/python -m pip install kfp" in done.stderr
    done = run("one.py", "--python", "nowhere")
    assert done.returncode == 2 and "'nowhere', which is no Python" in done.stderr


def test_compile_writes_what_the_sdk_writes(tmp_path, python, plain):
    (tmp_path / "one.py").write_text(ONE)
    done = caudal("compile", "one.py", "-o", "one.yaml", "--data-dir", plain.data_dir, cwd=tmp_path,
                  env=python)
    assert done.returncode == 0, done.stderr
    words = [pathlib.Path(sys.executable).parent / "kfp", "dsl", "compile", "--py", "one.py", "--output", "want.yaml",
             "--function", "one"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "one.yaml").read_text() == (tmp_path / "want.yaml").read_text()
    printed = caudal("compile", "one.py:one", "--data-dir", plain.data_dir, cwd=tmp_path, env=python)
    assert printed.stdout == (tmp_path / "want.yaml").read_text()


# --- The compiler that stays.


def test_a_killed_compiler_is_replaced(run, plain):
    assert run("one.py", files={"one.py": ONE}).returncode == 0
    first = the_compiler_of(plain)
    assert run("one.py").returncode == 0
    assert the_compiler_of(plain) == first, "a second run must find it warm"
    os.kill(first, signal.SIGKILL)
    assert run("one.py").returncode == 0
    assert the_compiler_of(plain) != first


def test_two_compile_at_once_and_see_nothing_of_each_other(run, plain, tmp_path, python):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared.py").write_text(f"WORD = '{name}'\n")
        (tmp_path / name / "one.py").write_text(
            "import shared, time\ntime.sleep(0.2)\n" + ONE.replace('"hello"', "shared.WORD"))

    def go(name):
        done = caudal("run", f"{name}/one.py", "--json", "--data-dir", plain.data_dir, cwd=tmp_path,
                      env=python)
        return report_of(done)["outputs"]["Output"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert list(pool.map(go, ["a", "b", "a", "b"])) == ["a", "b", "a", "b"]
    assert len(compilers_of(plain)) == 1


def linked_environment(folder):
    """A virtual environment with the SDK of the tests in it, by a .pth file."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    own = next(p for p in sys.path if p.endswith("site-packages"))
    (site / "sdk.pth").write_text(own + "\n")
    return site


def test_the_compiler_begins_anew_when_packages_change(run, plain, tmp_path):
    site = linked_environment(tmp_path / ".venv")
    env = {"CAUDAL_PYTHON": ""}
    source = ONE.replace('"hello"', "getattr(kfp, 'EXTRA', 'without')")
    files = {"one.py": "import kfp\n" + source}
    assert report_of(run("one.py", "--json", files=files, env=env))["outputs"] == \
        {"Output": "without"}
    # A package that changes what the imported SDK is, as an upgrade does.
    (site / "extra.pth").write_text("import kfp; kfp.EXTRA = 'with'\n")
    assert report_of(run("one.py", "--json", env=env))["outputs"] == {"Output": "with"}
    assert report_of(run("one.py", "--json", env=env))["outputs"] == {"Output": "with"}


def test_without_a_place_for_a_socket_it_still_compiles(fresh, run, tmp_path):
    server = fresh().start()
    (server.data_dir / "compile").write_text("in the way")
    assert report_of(run("one.py", "--json", files={"one.py": ONE}, server=server))["state"] == \
        "SUCCEEDED"
    assert not compilers_of(server)


def test_the_socket_is_ours_alone_and_the_compiler_ends_with_the_server(fresh, run):
    server = fresh().start()
    assert run("one.py", files={"one.py": ONE}, server=server).returncode == 0
    folder = server.data_dir / "compile"
    socket = next(folder.glob("*.sock"))
    assert folder.stat().st_mode & 0o777 == 0o700 and socket.stat().st_mode & 0o777 == 0o600
    assert len(compilers_of(server)) == 1
    caudal("server", "stop", "--data-dir", server.data_dir)
    wait_until(lambda: not compilers_of(server), 5, "end of the compiler")
    assert not list(folder.glob("*.sock"))


def test_the_compiler_ends_when_its_socket_is_gone(fresh, run):
    server = fresh().start()
    assert run("one.py", files={"one.py": ONE}, server=server).returncode == 0
    next((server.data_dir / "compile").glob("*.sock")).unlink()
    wait_until(lambda: not compilers_of(server), 10, "end of the compiler")


def test_a_caller_that_goes_away_takes_its_compilation_with_it(plain, tmp_path, python):
    before = len(compilers_of(plain))
    (tmp_path / "slow.py").write_text("import time\nopen('started', 'w').close()\ntime.sleep(600)\n")
    caller = subprocess.Popen([BINARY, "run", "slow.py", "--data-dir", plain.data_dir], cwd=tmp_path,
                              env={**os.environ, **python}, stderr=subprocess.DEVNULL)
    wait_until((tmp_path / "started").exists, 20, "start of the module")
    assert len(compilers_of(plain)) > before
    caller.send_signal(signal.SIGINT)
    caller.wait(10)
    wait_until(lambda: len(compilers_of(plain)) <= max(before, 1), 5, "end of the compilation")


# --- Local code.


@pytest.mark.parametrize("files, given, body, value", [
    ({"tool/__init__.py": "VALUE = 'package'\n"}, "tool", "import tool; value = tool.VALUE",
     "package"),
    ({"lib/tool.py": "VALUE = 'folder'\n"}, "lib", "import tool; value = tool.VALUE", "folder"),
    ({"tool.py": "VALUE = 'module'\n"}, "tool.py", "import tool; value = tool.VALUE", "module"),
])
def test_steps_import_local_code(host, run, files, given, body, value):
    files = {**files, "use.py": IMPORTS.replace("{body}", body)}
    done = run("use.py", "--with", given, "--json", files=files, server=host)
    report = report_of(done)
    assert report["state"] == "SUCCEEDED", done.stderr
    assert report["outputs"] == {"Output": value}
    settings = provenance(host, report["run_id"])["settings"]
    assert settings["code"][0]["path"].endswith(given) and len(settings["code"][0]["sha256"]) == 64
    snapshot = host.data_dir / "code" / settings["code"][0]["sha256"]
    assert snapshot.is_dir() and not list(snapshot.rglob("*.pyc"))


def test_the_first_of_several_wins_and_steps_cannot_change_it(host, run):
    body = """
import tool
value = tool.VALUE
try:
    if os.getuid() != 0:
        open(tool.__file__, "a").write("VALUE = 'changed'")
except OSError:
    value += ", kept"
else:
    value += ", kept" if os.getuid() == 0 else ""
"""
    files = {"a/tool.py": "VALUE = 'a'\n", "b/tool.py": "VALUE = 'b'\n",
             "use.py": IMPORTS.replace("{body}", body)}
    done = run("use.py", "--with", "a", "--with", "b", "--json", files=files, server=host)
    assert report_of(done)["outputs"] == {"Output": "a, kept"}, done.stderr


def test_code_is_sent_once_and_its_change_is_a_new_snapshot(plain, run):
    files = {"lib/tool.py": "VALUE = 1\n", "one.py": ONE}
    runs = []
    for text in ("VALUE = 1\n", "VALUE = 1\n", "VALUE = 2\n"):
        report = report_of(run("one.py", "--with", "lib", "--json",
                               files={**files, "lib/tool.py": text}))
        runs.append(provenance(plain, report["run_id"])["settings"]["code"][0]["sha256"])
    assert runs[0] == runs[1] != runs[2]
    for sha256 in runs:
        answer = plain.call("HEAD", f"/apis/caudal/v1/code/{sha256}")
        assert answer.status_code == 200


def test_hostile_code_is_refused_and_leaves_nothing(plain, tmp_path):
    def send(data, sha256=None):
        import requests
        digest = sha256 or hashlib.sha256(data).hexdigest()
        return requests.post(f"{plain.url}/apis/caudal/v1/code?sha256={digest}", data=data, timeout=30)

    before = sorted(os.listdir(plain.data_dir / "code")) if (plain.data_dir / "code").exists() else []
    assert send(b"data", sha256="0" * 64).status_code == 400
    assert send(b"no archive").status_code == 400
    climbing = tmp_path / "climbing.tar"
    with tarfile.open(climbing, "w") as tar:
        entry = tarfile.TarInfo("../outside.py")
        tar.addfile(entry)
    assert send(climbing.read_bytes()).status_code == 400
    assert not (plain.data_dir / "outside.py").exists()
    after = sorted(os.listdir(plain.data_dir / "code")) if (plain.data_dir / "code").exists() else []
    assert before == after


def test_code_that_no_server_takes_is_named(run, tmp_path):
    done = run("one.py", "--with", "nowhere", files={"one.py": ONE})
    assert done.returncode == 2 and "--with 'nowhere': No such file or directory" in done.stderr
    (tmp_path / "notes.txt").write_text("x")
    done = run("one.py", "--with", "notes.txt")
    assert done.returncode == 2 and "is no Python code" in done.stderr


# --- Variables.

ENV = SAY.replace("def say(text: str, ", "def show(").replace("args=[text, result]", "args=[result]") \
    .replace("""'printf %s "$0" > "$1"'""", """'printf %s "$TOKEN|$LEVEL" > "$0"'""") + '''
@dsl.pipeline(name="env")
def env() -> str:
    task = show()
    task.set_env_variable("LEVEL", "pipeline")
    return task.outputs["result"]
'''


def test_steps_get_variables_and_the_pipelines_own_win(host, run, tmp_path):
    (tmp_path / "steps.env").write_text("# for steps\nexport TOKEN='from file'\nLEVEL=file\n")
    done = run("env.py", "--env-file", "steps.env", "--json", files={"env.py": ENV}, server=host)
    assert report_of(done)["outputs"] == {"Output": "from file|pipeline"}, done.stderr
    done = run("env.py", "--env-file", "steps.env", "--env", "TOKEN", "--json", server=host,
               env={"TOKEN": "ours"})
    assert report_of(done)["outputs"] == {"Output": "ours|pipeline"}, done.stderr


def test_wrong_variables_are_refused_without_their_values(run):
    done = run("one.py", "--env", "LD_PRELOAD=hunter2", files={"one.py": ONE})
    assert done.returncode == 2 and "'LD_PRELOAD' cannot be set" in done.stderr
    done = run("one.py", "--env", "9=hunter2")
    assert done.returncode == 2 and "hunter2" not in done.stderr
    done = run("one.py", "--env", "CAUDAL_TEST_NOT_SET")
    assert done.returncode == 2 and "is not set here" in done.stderr


def test_values_are_nowhere_in_the_api(plain, run):
    secret = "hunter2-is-secret"
    report = report_of(run("env.py", "--env", f"UNSEEN={secret}", "--json", files={"env.py": ENV}))
    run_id = report["run_id"]
    assert "UNSEEN" in provenance(plain, run_id)["settings"]["env"]
    for path in (f"/apis/caudal/v1/runs/{run_id}", f"/apis/caudal/v1/runs/{run_id}/provenance",
                 f"/runs/{run_id}", "/runs", f"/runs/{run_id}?view=FULL"):
        assert secret not in plain.call("GET", path).text, path


# --- Settings of a run.


def test_isolation_is_the_runs_own(plain, run):
    for isolation in ("process", "sandbox"):
        done = run("one.py", "--isolation", isolation, "--json", "--no-cache",
                   files={"one.py": ONE})
        if "cannot make sandboxes" in done.stderr:
            assert done.returncode == 2
            continue
        report = report_of(done)
        settings = provenance(plain, report["run_id"])["settings"]
        assert settings["isolation"] == isolation
        shown = plain.report(report["run_id"])
        assert {task["isolation"] for task in shown["tasks"]} == {isolation}
    done = run("one.py", "--isolation", "cloud")
    assert done.returncode == 2 and '"cloud" does not exist: choose sandbox or process' in done.stderr


# --- Where a run came from.


def git(folder, *words):
    words = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", *words]
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_record_of_a_run_names_file_commit_and_functions(plain, run, tmp_path):
    source = '''
from kfp import dsl


@dsl.component(base_image="python:3.11")
def train(rate: float) -> float:
    return rate * 2


@dsl.pipeline(name="trains")
def trains(rate: float = 0.5):
    train(rate=rate)
'''
    done = run("work/trains.py", "--detach", files={"work/trains.py": source})
    assert done.returncode == 0, done.stderr
    origin = provenance(plain, done.stdout.strip())["origin"]
    assert "git_commit" not in origin and "git_dirty" not in origin
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")

    done = run("work/trains.py", "--detach")
    record = provenance(plain, done.stdout.strip())
    origin = record["origin"]
    text = (tmp_path / "work/trains.py").read_bytes()
    assert origin["source_path"] == "work/trains.py"
    assert origin["source_sha256"] == hashlib.sha256(text).hexdigest()
    assert origin["git_commit"] == commit and not origin.get("git_dirty", False)
    assert origin["submitter"] == "local" and origin["client"].startswith("caudal/")
    assert origin["sdk_version"].startswith("kfp-2.")
    line = text.decode().splitlines().index("def train(rate: float) -> float:") + 1
    place = origin["functions"][0]
    assert (place["function"], place["file"], place["file_line"], place["line_count"]) == \
        ("train", "work/trains.py", line, 2)
    spec = plain.get(f"/runs/{record['run_id']}")["pipeline_spec"]
    executor = next(iter(spec["deploymentSpec"]["executors"].values()))
    word = executor["container"]["command"][-1]
    assert word.splitlines()[place["source_line"] - 1] == "def train(rate: float) -> float:"

    (tmp_path / "new.txt").write_text("not added")
    done = run("work/trains.py", "--detach")
    origin = provenance(plain, done.stdout.strip())["origin"]
    assert origin["git_commit"] == commit and origin["git_dirty"] is True


def test_a_run_of_the_sdks_client_has_a_record_too(plain, client_of, tmp_path):
    (tmp_path / "one.py").write_text(ONE)
    package = tmp_path / "one.yaml"
    assert caudal("compile", "one.py", "-o", package, "--data-dir", plain.data_dir, cwd=tmp_path,
                  env={"CAUDAL_PYTHON": sys.executable}).returncode == 0
    created = client_of(plain).create_run_from_pipeline_package(str(package), arguments={})
    record = provenance(plain, created.run_id)
    origin = record["origin"]
    assert origin["submitter"] == "local" and origin["sdk_version"].startswith("kfp-2.")
    assert origin["client"] and not origin["client"].startswith("caudal/")
    assert len(origin["source_sha256"]) == 64 and "source_path" not in origin
    assert record["settings"]["isolation"] == "process"


def test_the_record_holds_the_lock_of_the_environment(server, tmp_path, python):
    (tmp_path / "double.py").write_text("""
from kfp import dsl

@dsl.component(base_image="python:3.11")
def double(rate: float) -> float:
    return rate * 2

@dsl.pipeline(name="doubles")
def doubles(rate: float = 0.5) -> float:
    return double(rate=rate).output
""")
    try:
        done = caudal("run", "double.py", "--server", server.url, "--json", "--no-cache",
                      cwd=tmp_path, env=python, timeout=300)
        report = report_of(done)
    finally:
        caudal("server", "stop")  # the compiler of the default data directory
    assert report["outputs"] == {"Output": 1}, done.stderr
    (environment,) = provenance(server, report["run_id"])["environments"]
    assert "kfp==" in environment["lock"] and environment["python_version"].startswith("3.")


def test_the_record_survives_the_server(fresh, run):
    server = fresh(isolation="process").start()
    report = report_of(run("one.py", "--env", "A=1", "--json", files={"one.py": ONE}, server=server))
    before = provenance(server, report["run_id"])
    server.kill9()
    server.start()
    assert provenance(server, report["run_id"]) == before
    caudal("server", "stop", "--data-dir", server.data_dir)
