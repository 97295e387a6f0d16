"""The client verbs as people and scripts use them: what they print, in every form; how runs are named;
what errors say; that deletes ask; contexts; completion in a real bash."""

import json
import os
import pathlib
import pty
import re
import select
import shlex
import socket
import subprocess
import time

import pytest
import yaml

from harness import BINARY, Server, caudal, see, wait_until
from ir import artifact_path, given, output, output_file, param, pipeline, shell, step, write

GREET = pipeline("greet", {
    "greet": step(shell('printf "Hello, %s" "$0" > "$1"; echo said $0', param("who"),
                        output_file("text")),
                  params={"who": given("who")}, out={"text": "STRING"}),
    "count": step(shell('printf %s "${#0}" > "$1"; echo "{}" > "$2"', param("text"),
                        output_file("length"), artifact_path("facts")),
                  params={"text": output("greet", "text")}, out={"length": "NUMBER_INTEGER"},
                  out_artifacts={"facts": "system.Dataset"})},
    inputs={"who": "STRING", "rate": ("NUMBER_DOUBLE", 0.1)}, outputs={"text": ("greet", "text"), "length": ("count", "length")})
BROKEN = pipeline("broken", {
    "load": step(shell("echo loaded")),
    "train": step(shell("echo first; echo it broke; exit 7"), after=["load"]),
    "rate": step(shell("true"), after=["train"])})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("verbs")


@pytest.fixture(scope="module")
def host(shared_dir):
    server = Server(flags=see(shared_dir)).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def cli(host, folder):
    """One command against the server, with configuration of its own."""
    def call(*words, env=None, **options):
        own = {"CAUDAL_SERVER": host.url, "XDG_CONFIG_HOME": str(folder / "config"),
               "XDG_DATA_HOME": str(folder / "none"), **(env or {})}
        return caudal(*words, env=own, **options)
    return call


@pytest.fixture(scope="module")
def runs(host):
    """Ids of one run that succeeded and one that failed, the older first."""
    greet = host.create_run(GREET, {"who": "you", "rate": 0.1}, name="greeting")
    host.wait(greet)
    broken = host.create_run(BROKEN, name="broken one")
    host.wait(broken)
    return {"greet": greet, "broken": broken}


def ok(done):
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wrong(done, code=2):
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stderr.startswith("caudal: ") or "\ncaudal: " in done.stderr, done.stderr
    return done.stderr


class TestRuns:
    def test_list(self, cli, runs):
        done = cli("run", "list")
        lines = ok(done).splitlines()
        assert lines[0].split() == ["id", "name", "state", "took", "created"]
        assert lines[1].startswith(runs["broken"][:8]) and "failed" in lines[1]
        assert any("greeting" in line and "succeeded" in line for line in lines)
        assert done.stderr.startswith("CAUDAL_SERVER · http://127.0.0.1:")
        assert "\033" not in done.stdout

    def test_list_in_every_form(self, cli, runs):
        as_json = json.loads(ok(cli("run", "list", "--json")))
        assert as_json == json.loads(ok(cli("run", "list", "-o", "json")))
        assert as_json == yaml.safe_load(ok(cli("run", "list", "-oyaml")))
        lines = ok(cli("run", "list", "--output=jsonl")).splitlines()
        assert as_json == [json.loads(line) for line in lines]
        assert {run["run_id"] for run in as_json} >= set(runs.values())

    def test_list_filters(self, cli, host, runs, unique):
        ids = lambda *words: [run["run_id"] for run in json.loads(ok(cli("run", "list", "--json", *words)))]
        assert runs["greet"] not in ids("--state", "failed")
        assert runs["broken"] in ids("--state", "failed")
        assert ids("--limit", "1") == [runs["broken"]] or len(ids("--limit", "1")) == 1
        experiment = host.post("/experiments", {"display_name": unique})["experiment_id"]
        mine = host.create_run(GREET, {"who": "x"}, experiment_id=experiment)
        assert ids("-e", unique) == [mine]
        host.wait(mine)
        assert "did you mean 'failed'?" in wrong(cli("run", "list", "--state", "fialed"))

    def test_show(self, cli, runs):
        text = ok(cli("run", "show", runs["greet"]))
        for part in ("greeting succeeded", runs["greet"], "who", "greet", "count", "Hello, you",
                     "submitted by"):
            assert part in text, text
        shown = json.loads(ok(cli("run", "show", "greeting", "--json")))
        assert shown["state"] == "SUCCEEDED" and shown["name"] == "greeting"
        assert shown["parameters"] == {"who": "you", "rate": 0.1}
        assert shown["outputs"] == {"text": "Hello, you", "length": 10}
        facts = {task["path"]: task for task in shown["tasks"]}["count"]["artifacts"]["facts"][0]
        assert pathlib.Path(facts["path"]).read_text() == "{}\n"
        assert shown["provenance"]["origin"]["submitter"]
        assert yaml.safe_load(ok(cli("run", "show", "greeting", "-o", "yaml"))) == shown

    def test_show_of_a_failed_run_exits_with_zero(self, cli, runs):
        text = ok(cli("run", "show", runs["broken"]))
        assert "broken one failed" in text and "not run" in text

    def test_how_runs_are_named(self, cli, host, runs, unique):
        id_of = lambda *words: json.loads(ok(cli("run", "show", "--json", *words)))["run_id"]
        last = host.create_run(GREET, {"who": "x"}, name=unique)
        host.wait(last)
        assert id_of() == id_of("@1") == id_of(last) == id_of(last[:13]) == id_of(unique) == last
        before = json.loads(ok(cli("run", "list", "--json", "--limit", "2")))[1]["run_id"]
        assert id_of("@2") == before
        assert "no run is called 'nosuch'" in wrong(cli("run", "show", "nosuch"))
        assert "there is no run @9999" in wrong(cli("run", "show", "@9999"))
        assert "'@x' is no run" in wrong(cli("run", "show", "@x"))
        twin = host.create_run(GREET, {"who": "x"}, name=unique)
        said = wrong(cli("run", "show", unique))
        assert "the name of 2 runs" in said and last in said and twin in said
        host.wait(twin)

    def test_logs(self, cli, host, runs):
        done = cli("run", "logs", runs["broken"])
        assert ok(done) == "first\nit broke\n"
        assert "train · failed" in done.stderr
        assert ok(cli("run", "logs", runs["broken"], "load")) == "loaded\n"
        assert ok(cli("run", "logs", runs["broken"], "train", "--attempt", "1")) == "first\nit broke\n"
        assert "never ran" in wrong(cli("run", "logs", runs["broken"], "rate"))
        assert "did you mean 'train'?" in wrong(cli("run", "logs", runs["broken"], "trian"))
        assert "--attempt" in wrong(cli("run", "logs", runs["broken"], "train", "--attempt", "2"))

    def test_logs_follow_a_step_and_one_word_is_a_step(self, cli, host, shared_dir, unique):
        gate = shared_dir / unique
        spec = pipeline("slow", {"wait": step(shell(
            f"echo begun; while ! test -e {gate}; do sleep 0.02; done; echo over"))})
        run_id = host.create_run(spec)
        wait_until(lambda: "begun" in cli("run", "logs", "wait").stdout, 30, "first line")
        words = [str(BINARY), "run", "logs", run_id, "-f", "--server", host.url]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout.readline() == "begun\n"
            gate.touch()
            assert following.stdout.read() == "over\n"
        assert following.returncode == 0
        host.wait(run_id)

    def test_open(self, cli, host, runs):
        done = cli("run", "open", runs["greet"], env={"DISPLAY": ""})
        assert ok(done) == f"{host.url}/apis/caudal/v1/runs/{runs['greet']}\n"
        assert "no page yet" in done.stderr

    def test_watch(self, cli, runs):
        assert cli("run", "watch", runs["broken"]).returncode == 1
        assert cli("run", "watch", runs["greet"]).returncode == 0

    def test_cancel(self, cli, host):
        run_id = host.create_run(pipeline("long", {"sleep": step(shell("exec sleep 1000"))}))
        assert "canceling run " + run_id[:8] in ok(cli("run", "cancel", "--now"))
        assert host.wait(run_id)["cancelled"]
        listed = json.loads(ok(cli("run", "list", "--state", "canceled", "--json")))
        assert run_id in [run["run_id"] for run in listed]
        assert "ended already" in wrong(cli("run", "cancel", run_id))

    def test_archive_and_back(self, cli, host, unique):
        run_id = host.create_run(GREET, {"who": "x"}, name=unique)
        host.wait(run_id)
        shown = lambda *words: run_id in ok(cli("run", "list", "-o", "json", *words))
        assert shown()
        ok(cli("run", "archive", unique))
        assert not shown() and shown("--all")
        ok(cli("run", "archive", run_id, "--undo"))
        assert shown()

    def test_delete_asks(self, cli, host, unique):
        run_id = host.create_run(GREET, {"who": "x"}, name=unique)
        host.wait(run_id)
        assert "add --yes" in wrong(cli("run", "delete", run_id))
        assert "too few words" in wrong(cli("run", "delete", "--yes"))
        assert json.loads(ok(cli("run", "delete", run_id, "--yes", "--json"))) == [
            {"run_id": run_id, "done": "deleted"}]
        assert host.call("GET", f"/runs/{run_id}").status_code == 404

    def test_delete_asks_on_a_terminal(self, host, unique):
        run_id = host.create_run(GREET, {"who": "x"}, name=unique)
        host.wait(run_id)
        for answer, status in (("n", 200), ("y", 404)):
            terminal = Terminal([str(BINARY), "run", "delete", run_id, "--server", host.url])
            terminal.expect("[y/N]")
            terminal.send(answer + "\r")
            assert (terminal.end() == 0) == (answer == "y")
            assert host.call("GET", f"/runs/{run_id}").status_code == status


def test_pipelines(cli, folder, unique):
    file = write(folder / "greet.yaml", GREET)
    made = json.loads(ok(cli("pipeline", "upload", file, "--name", unique, "--json")))
    assert made["display_name"] == unique
    assert "added version v2" in ok(
        cli("pipeline", "upload", file, "--pipeline", unique, "--name", "v2"))
    assert unique in ok(cli("pipeline", "list"))
    text = ok(cli("pipeline", "show", unique))
    assert "v2" in text and "who" in text
    ok(cli("pipeline", "upload", file, "--pipeline", unique))
    assert len(json.loads(ok(cli("pipeline", "show", unique, "--json")))["versions"]) == 3
    taken = wrong(cli("pipeline", "upload", file, "--name", unique))
    assert "exists already" in taken and f"--pipeline {unique}" in taken
    assert "ALREADY_EXISTS" not in taken
    assert "does not exist" in wrong(cli("pipeline", "upload", folder / "nosuch.yaml"))
    assert "no pipeline is called" in wrong(cli("pipeline", "show", "nosuch"))
    assert "add --yes" in wrong(cli("pipeline", "delete", unique))
    assert f"deleted pipeline {unique}" in ok(cli("pipeline", "delete", unique, "--yes"))
    assert unique not in ok(cli("pipeline", "list", "--all", "--json"))


def test_experiments(cli, host, unique):
    made = json.loads(ok(cli("experiment", "create", unique, "--description", "of a test", "--json")))
    assert unique in ok(cli("experiment", "list"))
    host.wait(host.create_run(GREET, {"who": "x"}, name="mine", experiment_id=made["experiment_id"]))
    text = ok(cli("experiment", "show", unique))
    assert "mine" in text and "succeeded" in text and "of a test" in text
    assert "exists already" in wrong(cli("experiment", "create", unique))
    ok(cli("experiment", "archive", unique))
    assert unique not in ok(cli("experiment", "list", "--json"))
    ok(cli("experiment", "archive", unique, "--undo"))
    assert "add --yes" in wrong(cli("experiment", "delete", unique))
    ok(cli("experiment", "delete", unique, "--yes"))
    assert "no experiment is called" in wrong(cli("experiment", "show", unique))


def test_contexts(cli, host, tmp_path):
    own = {"CAUDAL_SERVER": "", "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "d")}
    call = lambda *words: cli(*words, env=own)
    ok(call("context", "add", "team", host.url, "--use"))
    listed = json.loads(ok(call("context", "list", "--json")))
    assert [(c["name"], c["is_current"]) for c in listed] == [("local", False), ("team", True)]
    assert (tmp_path / "caudal" / "contexts.json").stat().st_mode & 0o777 == 0o600
    assert call("run", "list").stderr.startswith(f"team · {host.url}\n")
    assert f"team · {host.url}" in ok(call())
    assert "did you mean 'team'?" in wrong(call("context", "use", "taem"))
    assert "already" in wrong(call("context", "add", "team", "http://127.0.0.1:1"))
    assert "no URL" in wrong(call("context", "add", "x", "ftp://h"))
    ok(call("context", "add", "gone", "http://127.0.0.1:1", "--use"))
    assert "http://127.0.0.1:1 (gone)" in wrong(call("run", "list"), code=3)
    ok(call("context", "remove", "gone"))
    assert json.loads(ok(call("context", "list", "--json")))[0]["is_current"]
    assert not (tmp_path / "d").exists()


def test_a_read_verb_starts_a_server_where_none_runs(fresh, tmp_path):
    owner = fresh()  # not started: only its data directory and the search for leftovers
    done = caudal("run", "list", "--data-dir", owner.data_dir)
    ok(done)
    assert re.match(r"local · http://127\.0\.0\.1:\d+ · started\n", done.stderr)
    assert re.match(r"local · http://127\.0\.0\.1:\d+\n",
                    caudal("run", "list", "--data-dir", owner.data_dir).stderr)
    status = json.loads(ok(caudal("server", "status", "--data-dir", owner.data_dir, "--json")))
    assert status["answers"] is True
    ok(caudal("server", "stop", "--data-dir", owner.data_dir))
    assert caudal("server", "status", "--data-dir", owner.data_dir).returncode == 3


@pytest.mark.parametrize("words", [["list", "--state", "zzz"], ["list", "--limit", "x"],
                                   ["list", "-o", "x"], ["show", "a", "b"]], ids=" ".join)
def test_wrong_input_starts_no_server(words, tmp_path):
    env = {"CAUDAL_SERVER": "", "XDG_CONFIG_HOME": str(tmp_path)}
    wrong(caudal("run", *words, "--data-dir", tmp_path / "d", env=env))
    assert not (tmp_path / "d").exists()


def test_where_am_i(cli, host, tmp_path):
    text = ok(cli())
    assert "last run" in text and text.count("caudal ") >= 4
    alone = ok(caudal(env={"CAUDAL_SERVER": "", "XDG_DATA_HOME": str(tmp_path / "d"),
                           "XDG_CONFIG_HOME": str(tmp_path)}))
    assert "none runs" in alone and not (tmp_path / "d").exists()


def test_doctor(cli, tmp_path):
    done = cli("doctor", "--json", "--data-dir", tmp_path / "d")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert set(checks) >= {"namespaces", "sandbox", "cgroups", "python", "uv", "kfp", "docker",
                           "disk space", "disk sync", "clock", "ports", "data directory"}
    assert all(check["state"] in ("ok", "lacks", "fails") for check in checks.values())
    assert all(check["cost"] for check in checks.values() if check["state"] == "fails")
    assert done.returncode == int(any(c["state"] == "fails" for c in checks.values()))
    assert not (tmp_path / "d").exists()
    text = cli("doctor").stdout
    assert all(name in text for name in checks)


def test_doctor_fails_without_python(cli):
    """Without any Python in PATH nothing of the SDK's can run."""
    done = cli("doctor", "--json", env={"PATH": "/nonexistent"})
    assert done.returncode == 1
    assert {c["name"]: c for c in json.loads(done.stdout)}["python"]["state"] == "fails"


# What errors say to do next is done: every command in quotes runs.

WRONG = [
    ["rnu"], ["zzz"], ["run", "lsit"], ["run", "zzz"], ["pipeline", "zzz"], ["run", "list", "--zzz"],
    ["run", "list", "x"], ["run", "list", "-o", "xml"], ["run", "list", "--state", "zzz"],
    ["run", "list", "--limit", "0"], ["run", "list", "--all", "--limit", "3"], ["run", "list", "-e", "nosuch"],
    ["run", "show", "nosuch"], ["run", "show", "@0"], ["run", "show", "@9999"],
    ["run", "logs", "nosuch"], ["run", "logs", "@1", "nosuch"], ["run", "delete"],
    ["run", "delete", "@1"], ["run", "cancel", "{greet}"], ["run", "logs", "{broken}", "rate"],
    ["pipeline", "show", "nosuch"], ["pipeline", "show"], ["pipeline", "delete", "nosuch"],
    ["pipeline", "upload", "nosuch.yaml"], ["experiment", "show", "nosuch"],
    ["experiment", "create", "Default"], ["experiment", "create"], ["context", "use", "nosuch"],
    ["context", "add", "local", "http://h"], ["context", "add", "a b", "http://h"],
    ["context", "remove", "nosuch"], ["completion", "tcsh"], ["run"], ["server", "zzz"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_errors_offer_commands_that_run(cli, runs, words):
    said = wrong(cli(*[word.format(**runs) for word in words]))
    for command in re.findall(r"'(caudal [^']+)'", said):
        done = cli(*shlex.split(command)[1:])
        assert done.returncode == 0, f"{said}\n{command}: {done.returncode}\n{done.stderr}"


def test_every_verb_has_help_with_examples(cli):
    overview = ok(cli("--help"))
    verbs = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?: [A-Z\[]\S*)*  +\S", overview, re.MULTILINE)
    assert len(verbs) > 20
    for verb in verbs:
        text = ok(cli(*verb.split(), "--help"))
        assert "Examples" in text and f"caudal {verb}" in text
        assert ok(cli("help", *verb.split())) == text
    for noun in ("pipeline", "experiment", "context"):
        assert "Examples" in ok(cli(noun)) and ok(cli(noun)) == ok(cli(noun, "--help"))


class Terminal:
    """A program on a terminal of its own, typed to and read from."""

    def __init__(self, words, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "NO_COLOR": "", **(env or {})})
            os.execvp(words[0], words)
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text, timeout=20):
        """Reads on until `text` appears after what was expected before; returns all up to there."""
        end = time.monotonic() + timeout
        while text not in self.text:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no '{text}' in: {self.text}"
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            assert data, f"ended without '{text}': {self.text}"
            self.text += data.decode(errors="replace")
        before, self.text = self.text.split(text, 1)
        return before + text

    def end(self):
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class TestCompletion:
    @pytest.fixture
    def bash(self, host, folder):
        env = {"CAUDAL_SERVER": host.url, "PATH": f"{BINARY.parent}:{os.environ['PATH']}",
               "XDG_CONFIG_HOME": str(folder / "config")}
        shell_ = Terminal(["bash", "--norc", "--noprofile", "-i"], env)
        shell_.send("PS1='ready> '; bind 'set enable-bracketed-paste off'; source <(caudal completion bash)\r")
        shell_.send("echo loa''ded\r")
        shell_.expect("loaded")
        shell_.expect("ready> ")
        yield shell_
        shell_.send("\x15exit\r")
        shell_.end()

    def line_after_tab(self, bash, typed):
        """What stands on the line once Tab was pressed, as the shell itself says it."""
        bash.send(f"\x15{typed}\t")
        bash.send("\x01echo '<\x05>'\r")  # to the beginning, to the end: echo '<…>'
        bash.expect("\n<")
        return bash.expect(">")[:-1]

    @pytest.mark.parametrize("typed, completed", [
        ("caudal pipel", "caudal pipeline "),
        ("caudal run lo", "caudal run logs "),
        ("caudal run logs --fol", "caudal run logs --follow "),
        ("caudal run list -o y", "caudal run list -o yaml "),
        ("caudal run list --output=y", "caudal run list --output=yaml "),
        ("caudal help experiment cr", "caudal help experiment create "),
        ("caudal completion f", "caudal completion fish "),
        ("caudal run nosuch", "caudal run nosuch"),
    ])
    def test_words_and_flags(self, bash, typed, completed):
        assert self.line_after_tab(bash, typed) == completed

    def test_runs_steps_and_pipelines(self, bash, cli, runs, folder, unique):
        show = "caudal run show "
        assert self.line_after_tab(bash, show + runs["broken"][:7]) == show + runs["broken"][:8] + " "
        logs = f"caudal run logs {runs['broken']} "
        assert self.line_after_tab(bash, logs + "tr") == logs + "train "
        ok(cli("pipeline", "upload", write(folder / "named.yaml", GREET), "--name", unique))
        show = "caudal pipeline show "
        assert self.line_after_tab(bash, show + unique[:-1]) == show + unique + " "

    def test_files(self, bash, folder):
        (folder / "unusual.yaml").write_text("")
        bash.send(f"cd {folder}\r")
        assert self.line_after_tab(bash, "caudal run unus") == "caudal run unusual.yaml "

    def test_a_server_that_hangs_does_not_hold_the_prompt(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            begin = time.monotonic()
            done = caudal("complete", "--", "run", "show", "", env={"CAUDAL_SERVER": url})
            assert time.monotonic() - begin < 1  # 300 ms of it its own, the rest a busy machine's
            assert done.returncode == 0 and done.stdout == ":none\n"

    def test_starts_no_server(self, tmp_path):
        env = {"CAUDAL_SERVER": "", "XDG_DATA_HOME": str(tmp_path / "d"),
               "XDG_CONFIG_HOME": str(tmp_path)}
        assert caudal("complete", "--", "run", "show", "", env=env).stdout == ":none\n"
        assert not (tmp_path / "d").exists()

    @pytest.mark.parametrize("shell_", ["bash", "zsh", "fish"])
    def test_scripts_are_of_their_shell(self, cli, shell_, tmp_path):
        script = tmp_path / "script"
        script.write_text(ok(cli("completion", shell_)))
        try:
            done = subprocess.run([shell_, "-n", str(script)], capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip(f"{shell_} is not installed")
        assert done.returncode == 0, done.stderr


class TestTerminal:
    def test_colour_and_width(self, host, runs):
        for columns in (50, 100):
            terminal = Terminal(["sh", "-c", f"stty cols {columns}; exec {BINARY} run list --server {host.url}"])
            terminal.expect("created")
            terminal.expect(runs["greet"][:8])
            terminal.expect("\033[32msucceeded")
            terminal.end()

    def test_no_color(self, host, runs):
        terminal = Terminal([str(BINARY), "run", "list", "--server", host.url], {"NO_COLOR": "1"})
        assert "\033[" not in terminal.expect(runs["greet"][:8])
        terminal.end()
