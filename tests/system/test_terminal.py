"""What a person sees: sessions on a real pseudo-terminal, as golden files in terminal/.

CAUDAL_UPDATE=1 writes the files instead of comparing."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import pytest

from harness import BINARY, Server, caudal, new_data_dir, wait_until
from ir import (artifact_path, given, group, input_path, loop, output, output_file, param, pipeline,
                retried, shell, step, when, write)
from terminals import Rules, Terminal

GOLDENS = pathlib.Path(__file__).parent / "terminal"


@pytest.fixture(scope="module")
def host():
    """A server whose steps may see its data directory's neighbour `gates`."""
    data_dir = new_data_dir()
    gates = data_dir.parent / "gates"
    gates.mkdir()
    gates.chmod(0o777)
    server = Server(data_dir, "process", ["--kill-grace", "60s"]).start()
    server.gates = gates
    yield server
    caudal("server", "stop", "--data-dir", data_dir)  # and the compiler that stays warm
    server.close()


@pytest.fixture
def gate(host, unique):
    """A file that steps wait for; there at the end of the test in any case."""
    yield host.gates / unique
    (host.gates / unique).touch()


@pytest.fixture
def terminal(host):
    """Opens terminals with commands that speak to the server."""
    opened = []

    def make(*words, **options):
        opened.append(Terminal([*words, "--data-dir", host.data_dir], **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def golden(host, tmp_path):
    """Compares a session, given as (title, text) pairs, with its file."""
    rules = Rules((shlex.quote(str(host.data_dir)), "DATA"), (host.data_dir, "DATA"),
                  (tmp_path, "DIR"), (host.gates, "GATES"), (sys.executable, "PYTHON"))

    def compare(name, *parts):
        got = "".join(f"=== {title}\n{rules.apply(text)}\n" for title, text in parts)
        file = GOLDENS / f"{name}.txt"
        if os.environ.get("CAUDAL_UPDATE"):
            file.write_text(got)
        assert got == file.read_text()

    return compare


def wait_for(gate):
    return f"while ! test -e {shlex.quote(str(gate))}; do sleep 0.02; done"


def digits(gate):
    """load → train → evaluate; train says how far it is and waits for the gate."""
    return pipeline("digits", {
        "load": step(shell('printf 1,2,3 > "$0"', artifact_path("rows")),
                     out_artifacts={"rows": "system.Dataset"}),
        "train": step(shell(f'echo epoch 1/2 loss 0.52; echo epoch 2/2 loss 0.12; {wait_for(gate)}; '
                            'cp "$0" "$1"', input_path("rows"), artifact_path("model")),
                      artifacts={"rows": output("load", "rows")},
                      out_artifacts={"model": "system.Model"}),
        "evaluate": step(shell('printf 0.97 > "$1"', input_path("model"), output_file("accuracy")),
                         artifacts={"model": output("train", "model")},
                         out={"accuracy": "NUMBER_DOUBLE"})},
        outputs={"accuracy": ("evaluate", "accuracy")})


def test_success(terminal, golden, gate, tmp_path):
    file = write(tmp_path / "digits.yaml", digits(gate))
    shown = terminal("run", file)
    running = shown.wait_for(r"^◐ train +[\d.]+ m?s  epoch 2/2 loss 0.12$")
    assert shown.is_cursor_hidden()
    gate.touch()
    assert shown.end() == 0
    assert not shown.is_cursor_hidden()
    golden("success", ("while train runs", running), ("at the end", shown.text()))
    # Each frame is whole: once there, the first and the last line of the tree never go.
    frames = shown.frames[shown.frames.index(running):]
    for frame in frames:
        assert frame.startswith("digits · ") and re.search(r"^. evaluate", frame, re.M), frame


def test_an_estimate_by_the_run_before(terminal, host, gate, tmp_path):
    slow = pipeline("estimated", {
        "first": step(shell(f"test -e {gate} || sleep 3; {wait_for(gate)}")),
        "second": step(shell("sleep 2"), after=["first"])})
    file = write(tmp_path / "estimated.yaml", slow)
    shown = terminal("run", file)
    shown.wait_for(r"^0/2$")
    gate.touch()
    assert shown.end() == 0
    gate.unlink()
    assert not any("left" in frame for frame in shown.frames)
    again = terminal("run", file)
    again.wait_for(r"^0/2 · about \d s left$")
    gate.touch()
    assert again.end() == 0


def test_failure(terminal, golden, host, tmp_path):
    """A Python file of the user's: the place is in it, with its line."""
    source = (GOLDENS / "digits.py").read_text()
    (tmp_path / "digits.py").write_text(source)
    shown = terminal("run", "digits.py", "--python", sys.executable, cwd=tmp_path)
    assert shown.end() == 1, shown.text()
    golden("failure", ("at the end", shown.text()))
    line = int(re.search(r"digits\.py:(\d+)  ValueError", shown.text())[1])
    assert "raise ValueError" in source.splitlines()[line - 1]
    # The same words over the API.
    report = host.report(host.get("/runs", page_size=1, sort_by="created_at desc")["runs"][0]["run_id"])
    task = host.task(report, "train")
    assert task["exception"] == "ValueError: could not convert 'n/a'"
    assert task["error"] == "exit 1: ValueError: could not convert 'n/a'"
    assert task["place"] == f"digits.py:{line}"
    assert task["inputs"] == {"rate": 0.5}
    rows = task["input_artifacts"]["rows"]["artifacts"][0]
    assert int(rows["size_bytes"]) == os.path.getsize(rows["path"]) == 10_000


def test_failure_without_python(terminal, golden, tmp_path):
    file = write(tmp_path / "fetch.yaml", pipeline("fetch", {
        "fetch": step(shell("for n in 1 2 3 4 5 6 7 8 9 10 11; do echo try $n; done; "
                            "echo rows.csv: no such file; exit 3")),
        "clean": step(shell("true"), after=["fetch"]),
        "train": step(shell("true"), after=["clean"])}))
    shown = terminal("run", file)
    assert shown.end() == 1
    golden("failure_without_python", ("at the end", shown.text()))


def test_ctrl_c(terminal, golden, gate, tmp_path):
    """The first asks the steps to end, the second ends them."""
    stubborn = f"trap 'echo not yet' TERM; echo ready; {wait_for(gate)}"
    file = write(tmp_path / "stubborn.yaml", pipeline("stubborn", {
        "hold": step(shell(stubborn)), "later": step(shell("true"), after=["hold"])}))
    shown = terminal("run", file)
    shown.wait_for(r"^◐ hold .* ready$")
    shown.press(b"\x03")
    canceling = shown.wait_for(r"^◐ hold .* not yet$")
    shown.press(b"\x03")
    assert shown.end() == 130
    assert not shown.is_cursor_hidden()
    golden("ctrl_c", ("after the first", canceling), ("after the second", shown.text()))


def test_ctrl_c_when_the_server_hangs(terminal, golden, fresh, gate, tmp_path):
    """The third leaves, whatever the server does."""
    server = fresh(isolation="process").start()
    file = write(tmp_path / "hold.yaml", pipeline("hold", {"hold": step(shell(wait_for(gate)))}))
    shown = Terminal(["run", file, "--server", server.url])
    try:
        shown.wait_for(r"^◐ hold")
        os.kill(server.pid, signal.SIGSTOP)
        shown.press_until(b"\x03", "again ends them at once$")
        shown.press_until(b"\x03", "again leaves without waiting$")
        shown.press_until(b"\x03", "leaving before the run has ended")
        assert shown.end() == 130
        assert not shown.is_cursor_hidden()
        text = shown.text().replace(server.url.removeprefix("http://"), "HOST")
        golden("ctrl_c_when_the_server_hangs", ("after the third", text))
    finally:
        os.kill(server.pid, signal.SIGCONT)
        gate.touch()
        shown.close()


def test_watch(terminal, golden, host, gate, tmp_path):
    """Ctrl-C stops watching, not the run; whoever comes back sees its end."""
    file = write(tmp_path / "digits.yaml", digits(gate))
    started = caudal("run", file, "--data-dir", host.data_dir, "--detach")
    assert started.returncode == 0, started.stderr
    run_id = started.stdout.strip()
    assert f"caudal run watch {run_id[:8]}" in started.stderr
    shown = terminal("run", "watch", run_id)
    watching = shown.wait_for(r"^◐ train .* loss 0.12$")
    shown.press(b"\x03")
    assert shown.end() == 130
    assert not shown.is_cursor_hidden()
    left = shown.text()
    assert host.report(run_id)["state"] == "RUNNING"
    again = terminal("run", "watch", run_id)
    again.wait_for(r"^◐ train")
    gate.touch()
    assert again.end() == 0
    golden("watch", ("while it runs", watching), ("after Ctrl-C", left), ("to the end", again.text()))


def test_not_a_terminal(golden, host, gate, tmp_path):
    """One line per change on standard error, results on standard output, no control characters."""
    gate.touch()
    file = write(tmp_path / "digits.yaml", digits(gate))
    done = caudal("run", file, "--data-dir", host.data_dir)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr
    golden("not_a_terminal", ("standard error", done.stderr), ("standard output", done.stdout))


def test_a_dumb_terminal_gets_lines(terminal, gate, tmp_path):
    gate.touch()
    shown = terminal("run", write(tmp_path / "digits.yaml", digits(gate)), env={"TERM": "dumb"})
    assert shown.end() == 0
    assert b"\x1b" not in shown.written


def test_colours(terminal, gate, tmp_path):
    gate.touch()
    file = write(tmp_path / "digits.yaml", digits(gate))
    shown = terminal("run", file)
    assert shown.end() == 0 and b"\x1b[32m" in shown.written
    plain = terminal("run", file, env={"NO_COLOR": "1"})
    assert plain.end() == 0 and not re.search(rb"\x1b\[\d*m", plain.written)


def test_a_low_terminal(terminal, golden, gate, tmp_path):
    """A tree taller than the terminal closes what has ended, and nothing scrolls away."""
    file = write(tmp_path / "deep.yaml", pipeline("deep", {
        "prepare": group({f"part{n}": step(shell("true")) for n in range(1, 7)}),
        "train": step(shell(f"echo fitting; {wait_for(gate)}"), after=["prepare"]),
        "publish": group({f"page{n}": step(shell("true")) for n in range(1, 4)}, after=["train"])}))
    shown = terminal("run", file, rows=9)
    running = shown.wait_for(r"^◐ train .* fitting$")
    assert running.startswith("deep · ")
    gate.touch()
    assert shown.end() == 0
    golden("low", ("while train runs", running))


def test_resizing(terminal, gate, tmp_path):
    """After a change of size the tree is drawn anew, once, and fits."""
    file = write(tmp_path / "digits.yaml", digits(gate))
    shown = terminal("run", file)
    shown.wait_for(r"^◐ train .* loss 0.12$")
    for rows, columns in ((20, 30), (30, 120)):
        shown.resize(rows, columns)
        drawn = len(shown.frames)
        wait_until(lambda: shown.read(0.05) and len(shown.frames) > drawn + 1, 20, "another frame")
        lines = shown.wait_for(r"^[01]/3").splitlines()
        assert [line.split()[0 if n == 0 else 1] for n, line in enumerate(lines[:4])] == [
            "digits", "load", "train", "evaluate"], lines
        assert len(lines) == 5 and all(len(line) < columns for line in lines), lines
    gate.touch()
    assert shown.end() == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signals_give_the_cursor_back(terminal, host, gate, tmp_path, name):
    file = write(tmp_path / "digits.yaml", digits(gate))
    shown = terminal("run", file)
    shown.wait_for(r"^◐ train")
    assert shown.is_cursor_hidden()
    os.kill(shown.process.pid, getattr(signal, name))
    code = shown.end()
    gate.touch()
    assert code == (130 if name == "SIGTERM" else 128 + getattr(signal, name))
    assert not shown.is_cursor_hidden()


def test_stopping_and_going_on(terminal, gate, tmp_path):
    """Ctrl-Z gives the terminal back; fg draws the tree again."""
    file = write(tmp_path / "digits.yaml", digits(gate))
    shown = terminal("run", file)
    shown.wait_for(r"^◐ train")
    os.kill(shown.process.pid, signal.SIGTSTP)

    def is_stopped():
        shown.read(0.01)
        return pathlib.Path(f"/proc/{shown.process.pid}/stat").read_text().rsplit(")")[1].split()[0] == "T"

    wait_until(is_stopped, 20, "stop")
    assert not shown.is_cursor_hidden()
    os.kill(shown.process.pid, signal.SIGCONT)
    gate.touch()
    assert shown.end() == 0
    assert len(re.findall(r"^digits · ", shown.text(), re.MULTILINE)) == 2
    assert not shown.is_cursor_hidden()


def test_json_stays_clean_on_a_terminal(host, gate, tmp_path):
    """The tree goes to standard error, the object alone to standard output."""
    gate.touch()
    file = write(tmp_path / "digits.yaml", digits(gate))
    words = shlex.join([str(BINARY), "run", str(file), "--data-dir", str(host.data_dir), "--json"])
    target = tmp_path / "out.json"
    # `script` gives the command a terminal; its standard output goes to the file.
    done = subprocess.run(["script", "-qec", f"{words} > {shlex.quote(str(target))}", "/dev/null"],
                          capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                          env={**os.environ, "TERM": "xterm"})
    assert done.returncode == 0
    assert json.loads(target.read_text())["state"] == "SUCCEEDED"
    assert b"evaluate" in done.stdout


def test_a_loop(terminal, golden, gate, tmp_path):
    """The loop is one line; what runs and what failed in it has lines of its own."""
    train = step(shell(f'case $0 in c) echo rows.csv: no such file; exit 3;; f) {wait_for(gate)};; esac',
                       param("item")), params={"item": given("item")}, types={"item": "STRING"})
    file = write(tmp_path / "sweep.yaml", pipeline("sweep", {
        "sweep": loop({"train": train, "judge": step(shell("true"), after=["train"])},
                      list("abcdef"), parallelism=1),
        "report": step(shell("true"), after=["sweep"])}))
    shown = terminal("run", file)
    running = shown.wait_for(r"^◐ sweep +5/6 done, 1 running, 1 failed[\s\S]*\n◐     train")
    gate.touch()
    assert shown.end() == 1
    golden("loop", ("while the last iteration runs", running), ("at the end", shown.text()))


def test_a_condition(terminal, golden, tmp_path):
    file = write(tmp_path / "deploy.yaml", pipeline("deploy", {
        "judge": step(shell('printf 0.42 > "$0"', output_file("score")), out={"score": "NUMBER_DOUBLE"}),
        "condition-1": when("inputs.parameter_values['score'] > 0.9",
                            {"send": step(shell("true"))}, params={"score": output("judge", "score")},
                            types={"score": "NUMBER_DOUBLE"}),
        "tell": step(shell("true"), after=["condition-1"])}))
    shown = terminal("run", file)
    assert shown.end() == 0
    golden("condition", ("at the end", shown.text()))


def test_a_retry(terminal, golden, gate, tmp_path):
    file = write(tmp_path / "flaky.yaml", pipeline("flaky", {
        "fetch": retried(step(shell(f"test -e {gate}")), 1, delay="6s")}))
    shown = terminal("run", file)
    waiting = shown.wait_for(r"^◐ fetch .*retry 1 of 1 after exit code 1, in \d s")
    gate.touch()
    assert shown.end() == 0
    text = re.sub(r"in \d s", "in N s", waiting)
    golden("retry", ("between the attempts", text), ("at the end", shown.text()))


def test_cached(terminal, golden, host, unique, tmp_path):
    spec = pipeline(unique, {
        "load": step(shell('printf 7 > "$0"', output_file("n")), out={"n": "NUMBER_INTEGER"}),
        "train": step(shell("echo $0", param("n")), params={"n": output("load", "n")},
                      types={"n": "NUMBER_INTEGER"})})
    for task in spec["root"]["dag"]["tasks"].values():
        task["cachingOptions"] = {"enableCache": True}
    file = write(tmp_path / "digits.yaml", spec)
    assert caudal("run", file, "--data-dir", host.data_dir).returncode == 0
    spec["deploymentSpec"]["executors"]["exec-train"]["container"]["command"][2] = "echo n $0"
    write(file, spec)
    shown = terminal("run", file)
    assert shown.end() == 0
    golden("cached", ("at the end", shown.text()))
    explained = terminal("run", "explain", "@1", "train")
    assert explained.end() == 0
    assert re.search(r"cache +miss: .*command", explained.text()), explained.text()


def test_a_run_is_retried(terminal, golden, gate, tmp_path):
    file = write(tmp_path / "fragile.yaml", pipeline("fragile", {
        "make": step(shell("true")), "judge": step(shell(f"test -e {gate}"), after=["make"]),
        "after": step(shell("true"), after=["judge"])}))
    failed = terminal("run", file)
    assert failed.end() == 1
    gate.touch()
    run_id = re.search(r"caudal run retry (\w+)", failed.text())[1]
    again = terminal("run", "retry", run_id)
    assert again.end() == 0
    golden("retried_run", ("the run", failed.text()), ("after the retry", again.text()))
