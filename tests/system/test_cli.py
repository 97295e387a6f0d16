"""`caudal run` and `caudal server` as people and scripts use them: exit codes, the --json object,
and what happens to wrong input: named, valued, remedied, and nothing half-stored."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness import BINARY, ROOT, Server, caudal, report_of, steps_of, wait_until
from ir import (artifact_path, given, input_path, output, output_file, param, pipeline, shell, step,
                write)

GREET = pipeline("greet", {
    "greet": step(shell('printf "Hello, %s" "$0" > "$1"; echo said', param("who"), output_file("text")),
                  params={"who": given("who")}, out={"text": "STRING"}),
    "count": step(shell('printf %s "${#0}" > "$1"; echo "{}" > "$2"', param("text"),
                        output_file("length"), artifact_path("facts")),
                  params={"text": output("greet", "text")}, out={"length": "NUMBER_INTEGER"},
                  out_artifacts={"facts": "system.Dataset"})},
    inputs={"who": "STRING", "times": ("NUMBER_INTEGER", 1), "share": ("NUMBER_DOUBLE", 0.5),
            "list": ("LIST", []), "flag": ("BOOLEAN", False)},
    outputs={"text": ("greet", "text"), "length": ("count", "length")})


@pytest.fixture(scope="module")
def host():
    server = Server().start()
    yield server
    server.close()


@pytest.fixture
def run(host, tmp_path):
    """Runs an IR through the command line and returns the finished process."""
    def call(spec, *words, **options):
        file = write(tmp_path / "pipeline.yaml", spec) if isinstance(spec, dict) else spec
        return caudal("run", file, "--server", host.url, *words, **options)
    return call


def stored_runs(host):
    return host.get("/runs").get("total_size", 0)


class TestOutcome:
    def test_json(self, host, run):
        # row: E46 E191 E193 E201 E205
        done = run(GREET, "--json", "-p", "who=you")
        assert done.returncode == 0, done.stderr
        report = report_of(done)
        assert set(report) >= {"run_id", "state", "cancelled", "error", "outputs", "artifacts", "tasks"}
        assert report["state"] == "SUCCEEDED" and report["cancelled"] is False
        assert report["error"] is None
        assert report["outputs"] == {"text": "Hello, you", "length": 10}
        assert '"length": 10.0' not in done.stdout and '"length":10.0' not in done.stdout
        tasks = {task["path"]: task for task in report["tasks"]}
        assert {"greet", "count"} <= set(tasks)
        for task in tasks.values():
            assert set(task) >= {"path", "task_id", "state", "reason", "attempts", "cached_from",
                                 "outputs", "artifacts"}
        assert tasks["count"]["attempts"] == 1 and tasks["count"]["cached_from"] is None
        facts = tasks["count"]["artifacts"]["facts"][0]
        assert set(facts) >= {"type", "uri", "path", "metadata"}
        assert facts["type"] == "system.Dataset"
        assert pathlib.Path(facts["path"]).read_text() == "{}\n"
        assert host.get(f"/runs/{report['run_id']}")["state"] == "SUCCEEDED"

    def test_for_people(self, run):
        done = run(GREET, "-p", "who=you")
        assert done.returncode == 0, done.stderr
        assert "Hello, you" in done.stdout
        assert "\x1b[" not in done.stdout + done.stderr, "colour without a terminal"

    def test_values_by_type(self, host, run, tmp_path):
        # row: E26 E56
        text = tmp_path / "who.txt"
        text.write_text("from a file")
        done = run(GREET, "--json", "-p", f"who=@{text}", "-p", "times=3", "-p", "share=0.25",
                   "-p", 'list=[1, "two"]', "-p", "flag=true")
        report = report_of(done)
        assert report["outputs"]["text"] == "Hello, from a file"
        stored = host.get(f"/runs/{report['run_id']}")["runtime_config"]["parameters"]
        assert stored == {"who": "from a file", "times": 3, "share": 0.25, "list": [1, "two"],
                          "flag": True}

    def test_params_file(self, run, tmp_path):
        file = tmp_path / "params.json"
        file.write_text('{"who": "file", "times": 2}')
        assert report_of(run(GREET, "--json", "--params", file))["outputs"]["text"] == "Hello, file"
        again = run(GREET, "--json", "--params", file, "-p", "who=word")
        assert report_of(again)["outputs"]["text"] == "Hello, word"

    def test_failed_run(self, run):
        # row: E150 E215
        spec = pipeline("fails", {"bad": step(shell("echo why; exit 7")),
                                  "other": step(shell("exit 0")),
                                  "after": step(shell("exit 0"), after=["bad"])})
        done = run(spec, "--json")
        assert done.returncode == 1
        report = report_of(done)
        tasks = {task["path"]: task for task in report["tasks"]}
        assert report["state"] == "FAILED" and "bad" in report["error"]["message"]
        assert tasks["bad"]["state"] == "FAILED" and "7" in tasks["bad"]["reason"] + done.stdout
        assert tasks["other"]["state"] == "SUCCEEDED" and tasks["after"]["state"] == "OMITTED"
        told = run(spec)
        assert told.returncode == 1
        assert "bad" in told.stdout + told.stderr and "7" in told.stdout + told.stderr

    def test_interrupt(self, host, tmp_path):
        file = write(tmp_path / "nap.yaml", pipeline("nap", {"nap": step(shell("exec sleep 600"))}))
        process = subprocess.Popen([BINARY, "run", file, "--server", host.url, "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: any("sleep 600" in words for words in steps_of(host.data_dir).values()),
                   30, "running step")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
        assert process.returncode == 130, err
        report = json.loads(out)
        assert report["cancelled"] is True and report["state"] in ("FAILED", "CANCELING")
        assert host.wait(report["run_id"], timeout=30)["state"] == "FAILED"

    def test_detach(self, host, run):
        done = run(GREET, "--detach", "-p", "who=later", "--name", "detached-run")
        assert done.returncode == 0, done.stderr
        found = [r for r in host.get("/runs", page_size=200)["runs"]
                 if r["display_name"] == "detached-run"]
        assert len(found) == 1
        assert host.wait(found[0]["run_id"])["state"] == "SUCCEEDED"

    def test_experiment_is_made(self, host, run):
        report = report_of(run(GREET, "--json", "-p", "who=x", "-e", "from-the-cli"))
        experiment = host.get(f"/runs/{report['run_id']}")["experiment_id"]
        assert host.get(f"/experiments/{experiment}")["display_name"] == "from-the-cli"

    def test_unreachable(self, tmp_path):
        file = write(tmp_path / "p.yaml", GREET)
        done = caudal("run", file, "--server", "http://127.0.0.1:1", "-p", "who=x")
        assert done.returncode == 3
        assert "127.0.0.1:1" in done.stderr


class TestWrongInput:
    """Exit 2, every fault on standard error, and no run stored."""

    @pytest.mark.parametrize("words, named", [
        ([], ["who"]),
        (["-p", "who=x", "-p", "whom=y"], ["whom", "who"]),
        (["-p", "who=x", "-p", "times=often"], ["times", "often"]),
        (["-p", "who=x", "-p", "flag=maybe"], ["flag", "maybe"]),
        (["-p", "who=x", "-p", "list={}"], ["list"]),
        (["-p", "who"], ["who"]),
        (["-p", "who=@/nonexistent/file"], ["/nonexistent/file"]),
        (["-p", "who=x", "--parms", "f"], ["--parms", "--params"]),
        (["-p", "times=a", "-p", "share=b"], ["who", "times", "share"]),
    ], ids=lambda value: " ".join(value) or "nothing")
    def test_parameters(self, host, run, words, named):
        # row: E24 E26 E28
        before = stored_runs(host)
        done = run(GREET, *words)
        assert done.returncode == 2, done.stderr
        for word in named:
            assert word in done.stderr
        assert stored_runs(host) == before

    @pytest.mark.parametrize("content, named", [
        (b"", []), (b"a: [b", []), (b"# only comments\n", []), (b"\xff\xfe\x00binary", []),
        (b"just words", []), (b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {}\n", ["v1"]),
        (json.dumps({**GREET, "schemaVersion": "2.0.0"}).encode(), ["2.0.0"]),
        (json.dumps({**GREET, "component": {}}).encode(), ["component"]),
        (json.dumps({k: v for k, v in GREET.items() if k != "root"}).encode(), ["root"]),
        (json.dumps({**GREET, "pipelineInfo": {"name": "Bad Name"}}).encode(), ["Bad Name"]),
    ], ids=["empty", "not YAML", "comments", "binary", "words", "v1", "schema", "unknown field",
            "no root", "name"])
    def test_files(self, host, run, tmp_path, content, named):
        # row: E8-E12 E16
        before = stored_runs(host)
        file = tmp_path / "wrong.yaml"
        file.write_bytes(content)
        done = run(file, "-p", "who=x")
        assert done.returncode == 2, done.stderr
        assert "wrong.yaml" in done.stderr
        for word in named:
            assert word in done.stderr, done.stderr
        assert stored_runs(host) == before

    def test_missing_file(self, host, run, tmp_path):
        done = run(tmp_path / "nosuch.yaml")
        assert done.returncode == 2 and "nosuch.yaml" in done.stderr
        done = run(tmp_path)
        assert done.returncode == 2 and str(tmp_path) in done.stderr

    def test_unreadable_file(self, run, tmp_path):
        if os.getuid() == 0:
            pytest.skip("root reads every file")
        file = write(tmp_path / "secret.yaml", GREET)
        file.chmod(0)
        done = run(file)
        assert done.returncode == 2 and "secret.yaml" in done.stderr

    @pytest.mark.parametrize("change, named", [
        (lambda tasks: tasks["count"].update(dependentTasks=["greet", "nosuch"]), "nosuch"),
        (lambda tasks: tasks["greet"].update(dependentTasks=["count"]), "cycle"),
        (lambda tasks: tasks["greet"].update(componentRef={"name": "comp-nosuch"}), "comp-nosuch"),
        (lambda tasks: tasks["count"]["inputs"]["parameters"]["text"]["taskOutputParameter"].update(
            outputParameterKey="nosuch"), "nosuch"),
        (lambda tasks: tasks["greet"]["inputs"]["parameters"]["who"].update(
            componentInputParameter="nosuch"), "nosuch"),
        (lambda tasks: tasks.clear(), ""),
    ], ids=["unknown dependency", "cycle", "unknown component", "unknown output", "unknown input",
            "no tasks"])
    def test_graphs(self, host, run, change, named):
        # row: E35 E36 E39 E46 E48
        spec = json.loads(json.dumps(GREET))
        change(spec["root"]["dag"]["tasks"])
        before = stored_runs(host)
        done = run(spec, "-p", "who=x")
        assert done.returncode == 2, done.stderr
        assert named in done.stderr, done.stderr
        assert stored_runs(host) == before

    def test_words(self):
        for words, named in ((["rnu"], "run"), (["run"], "FILE"), (["server", "--prot", "1"], "--prot"),
                             (["run", "x.yaml", "--isolation", "magic"], "magic"),
                             (["server", "--http-port", "many"], "many")):
            done = caudal(*words, timeout=20)
            assert done.returncode == 2, f"{words}: {done.stderr}"
            assert named in done.stderr, f"{words}: {done.stderr}"


def first_failure(run, spec, *words):
    """The one failed task of a run that must fail, and everything that was said about it."""
    done = run(spec, "--json", *words)
    assert done.returncode == 1, f"{done.returncode}: {done.stderr}"
    failed = [t for t in report_of(done)["tasks"] if t["state"] == "FAILED" and t["path"]]
    assert len(failed) == 1, failed
    return failed[0], json.dumps(failed[0]) + done.stderr


class TestFaultySteps:
    """The step fails with a reason that names what it was; the server and other runs go on."""

    def test_missing_command(self, run):
        # row: E216
        spec = pipeline("missing", {"bad": step(["my_program", "--x"])})
        task, told = first_failure(run, spec)
        assert "my_program" in told

    def test_no_command(self, run):
        spec = pipeline("commandless", {"bad": step([], image="registry.example/entrypoint:1")})
        done = run(spec, "--json")
        assert done.returncode in (1, 2) and "command" in done.stdout + done.stderr

    @pytest.mark.parametrize("name, number", [("KILL", 9), ("SEGV", 11), ("TERM", 15)])
    def test_signal(self, run, name, number):
        task, told = first_failure(run, pipeline("signal", {"bad": step(shell(f"kill -{name} $$"))}))
        assert re.search(rf"SIG{name}|signal {number}\b|{128 + number}", told), told

    @pytest.mark.parametrize("kind, text, named", [
        ("NUMBER_INTEGER", None, "length"), ("NUMBER_INTEGER", "many", "many"),
        ("LIST", "{}", "length"), ("STRUCT", "[1", "length"), ("BOOLEAN", "yes", "yes"),
        ("NUMBER_DOUBLE", "NaN", "NaN")], ids=str)
    def test_outputs(self, run, kind, text, named):
        # row: E76 E201 E203 E204
        script = "exit 0" if text is None else f"printf '%s' '{text}' > \"$0\""
        spec = pipeline("outputs", {"bad": step(shell(script, output_file("length")),
                                                out={"length": kind})})
        task, told = first_failure(run, spec)
        assert named in told and "length" in told
        assert not task["outputs"]

    def test_artifact_not_written(self, run):
        # row: E206
        spec = pipeline("unwritten", {
            "lazy": step(shell('[ -d "$(dirname "$0")" ]', artifact_path("model")),
                         out_artifacts={"model": "system.Model"}),
            "next": step(shell('echo "$0"', input_path("model")),
                         artifacts={"model": output("lazy", "model")})})
        done = run(spec, "--json")
        assert done.returncode == 0, done.stderr
        tasks = {t["path"]: t for t in report_of(done)["tasks"]}
        assert tasks["lazy"]["artifacts"]["model"][0]["type"] == "system.Model"
        assert tasks["next"]["state"] == "SUCCEEDED"

    def test_outputs_of_a_failed_step_are_not_published(self, run):
        # row: E215
        spec = pipeline("halfway", {"bad": step(shell('echo half > "$0"; exit 1', artifact_path("model")),
                                                out_artifacts={"model": "system.Model"})})
        task, _ = first_failure(run, spec)
        assert "model" not in task["artifacts"]

    def test_odd_values_arrive_unchanged(self, run):
        # row: E75 E191
        text = "quote \" back\\slash 'single'\nnewline\ttab ünï ☃ $HOME `id` {{$.nosuch}}"
        done = run(GREET, "--json", "-p", f"who={text}")
        assert report_of(done)["outputs"]["text"] == "Hello, " + text

    def test_large_value(self, run, tmp_path):
        # row: E34
        file = tmp_path / "large.txt"
        file.write_text("x" * 60_000)
        done = run(GREET, "--json", "-p", f"who=@{file}")
        assert report_of(done)["outputs"]["length"] == 60_007


class TestDataDirectory:
    def test_second_owner(self, fresh):
        first = fresh().start()
        second = caudal("server", "--data-dir", first.data_dir, "--http-port", "0", "--grpc-port", "0")
        assert second.returncode in (2, 3)
        assert str(first.pid) in second.stderr, second.stderr
        assert first.get("/healthz")

    def test_lock_names_the_owner(self, fresh):
        server = fresh().start()
        lock = json.loads((server.data_dir / "lock").read_text())
        assert lock["pid"] == server.pid and lock["http"] == server.ready["http"] and lock["version"]
        # A root server builds environments as another user, who must be able to pass through.
        passable = 0o711 if os.geteuid() == 0 else 0o700
        assert server.data_dir.stat().st_mode & 0o777 == passable
        assert (server.data_dir / "objects").stat().st_mode & 0o777 == 0o700
        assert set(server.ready) >= {"pid", "http", "grpc", "s3", "mlmd", "version"}
        assert server.ready["pid"] == server.pid

    def test_port_taken(self, fresh):
        first = fresh().start()
        port = first.ready["http"].rsplit(":", 1)[1]
        other = fresh()
        done = caudal("server", "--data-dir", other.data_dir, "--http-port", port, "--grpc-port", "0")
        assert done.returncode == 3 and port in done.stderr

    def test_stop_and_status(self, fresh):
        server = fresh().start()
        status = caudal("server", "status", "--data-dir", server.data_dir)
        assert status.returncode == 0
        assert server.ready["http"] in status.stdout and str(server.pid) in status.stdout
        stop = caudal("server", "stop", "--data-dir", server.data_dir)
        assert stop.returncode == 0, stop.stderr
        assert server.process.wait(10) == 0
        after = caudal("server", "status", "--data-dir", server.data_dir)
        assert server.ready["http"] not in after.stdout

    def test_background_server(self, fresh, tmp_path):
        """`caudal run` starts a server, which stays for the next run and stops when told."""
        owner = fresh()  # not started: only its data directory and the search for leftovers
        file = write(tmp_path / "p.yaml", GREET)
        first = caudal("run", file, "--data-dir", owner.data_dir, "--json", "-p", "who=a")
        assert first.returncode == 0, first.stderr
        pid = json.loads((owner.data_dir / "lock").read_text())["pid"]
        second = caudal("run", file, "--data-dir", owner.data_dir, "--json", "-p", "who=b")
        assert second.returncode == 0, second.stderr
        assert json.loads((owner.data_dir / "lock").read_text())["pid"] == pid
        assert report_of(first)["run_id"] != report_of(second)["run_id"]
        stop = caudal("server", "stop", "--data-dir", owner.data_dir)
        assert stop.returncode == 0, stop.stderr
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "end of the server")

    def test_foreground(self, fresh, tmp_path):
        owner = fresh()
        file = write(tmp_path / "p.yaml", GREET)
        done = caudal("run", file, "--data-dir", owner.data_dir, "--foreground", "--json",
                      "-p", "who=a")
        assert done.returncode == 0, done.stderr
        status = caudal("server", "status", "--data-dir", owner.data_dir)
        assert "127.0.0.1:" not in status.stdout

    def test_idle_exit(self, fresh):
        server = fresh(flags=["--idle-exit", "1s"]).start()
        assert server.process.wait(20) == 0

    def test_disk_full(self, fresh, tmp_path):
        """Staging without space fails that step with that reason; the server lives."""
        # row: E203
        if os.getuid() != 0:
            pytest.skip("mounting a small file system needs root")
        small = tmp_path / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", small])
        if mounted.returncode:
            pytest.skip("this machine does not let root mount a tmpfs")
        server = Server(data_dir=small / f"data-{tmp_path.name}-full", isolation="process").start()
        try:
            spec = pipeline("filler", {
                "fill": step(shell('head -c 100000000 /dev/zero > "$0"', artifact_path("big")),
                             out_artifacts={"big": "system.Dataset"})})
            report = server.run(spec, timeout=30)
            assert report["state"] == "FAILED"
            assert server.get("/healthz")
            small_one = pipeline("small", {"ok": step(shell("exit 0"))})
            assert server.run(small_one, timeout=30)["state"] == "SUCCEEDED"
        finally:
            server.stop()
            left = server.end_leftovers()
            subprocess.run(["umount", "-l", small], check=False)
        assert not left

    def test_nothing_is_left_in_work(self, fresh):
        """A finished run leaves no work directory."""
        server = fresh().start()
        assert server.run(GREET, {"who": "x"})["state"] == "SUCCEEDED"
        wait_until(lambda: not [p for p in (server.data_dir / "work").iterdir() if p.name.isdigit()],
                   10, "empty work folder")

    def test_runs_survive_a_restart(self, fresh):
        server = fresh().start()
        report = server.run(GREET, {"who": "x"})
        before = server.get(f"/runs/{report['run_id']}")
        server.restart()
        assert server.get(f"/runs/{report['run_id']}") == before
        assert server.report(report["run_id"])["outputs"] == report["outputs"]


class TestExamples:
    """The examples are what their sources compile to, and run."""

    def test_hello(self, run):
        done = run(ROOT / "examples" / "hello" / "hello.yaml", "--json", "-p", "name=reader")
        assert report_of(done)["outputs"] == {"Output": "Hello, reader!"}

    @pytest.mark.parametrize("name", ["hello/hello", "quickstart/fit_line"])
    def test_compiled(self, tmp_path, name):
        import importlib.util

        import yaml
        from kfp import compiler
        source = ROOT / "examples" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(source.stem, source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        target = tmp_path / "again.yaml"
        compiler.Compiler().compile(getattr(module, source.stem), str(target))
        stored = source.with_suffix(".yaml")
        assert yaml.safe_load(target.read_text()) == yaml.safe_load(stored.read_text())


def test_version_and_help():
    done = caudal("version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+", done.stdout)
    done = caudal("--help")
    assert done.returncode == 0 and "caudal run" in done.stdout
    done = caudal("run", "--help")
    assert done.returncode == 0 and "--params" in done.stdout


def test_where_am_i(tmp_path):
    done = caudal(env={"XDG_DATA_HOME": str(tmp_path)})
    assert done.returncode == 0 and "caudal run" in done.stdout + done.stderr
