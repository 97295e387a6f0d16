"""Logs are readable at one address: while the step runs, afterwards, and after a restart."""

import pathlib

import requests

from harness import see, wait_until
from ir import param, pipeline, shell, step


def gated(gate):
    """A step that says something, then waits until `gate` exists, then says more."""
    script = ('echo first; echo oops >&2; while [ ! -e "$0" ]; do sleep 0.05; done; echo "last $1"')
    return pipeline("talker", {"talk": step(shell(script, param("gate"), "word"),
                                            params={"gate": str(gate)})})


def start(server, shared_dir, unique):
    gate = shared_dir / unique
    run = server.create_run(gated(gate))
    wait_until(lambda: server.report(run).get("tasks") and
               server.task(server.report(run), "talk")["state"] == "RUNNING", 30, "running step")
    return gate, run, server.report(run)


def test_live_and_after(server, shared_dir, unique):
    # row: E214 A236
    gate, run, report = start(server, shared_dir, unique)
    wait_until(lambda: server.log_of(report, "talk") == "first\noops\n", 10, "live log")
    gate.touch()
    report = server.wait(run)
    assert report["state"] == "SUCCEEDED"
    assert server.log_of(report, "talk") == "first\noops\nlast word\n"


def test_log_artifact_is_a_readable_file(server, shared_dir, unique):
    gate = shared_dir / unique
    gate.touch()
    report = server.run(gated(gate))
    log = server.task(report, "talk")["artifacts"]["executor-logs"]["artifacts"][0]
    assert pathlib.Path(log["path"]).read_text() == "first\noops\nlast word\n"


def test_follow(server, shared_dir, unique):
    # row: E214
    gate, run, report = start(server, shared_dir, unique)
    task_id = server.task(report, "talk")["task_id"]
    url = f"{server.url}/apis/v1alpha1/runs/{run}/nodes/{task_id}/log"
    with requests.get(url, params={"follow": "true"}, stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        text = ""
        for chunk in answer.iter_content(chunk_size=None, decode_unicode=False):
            text += chunk.decode()
            if text.endswith("oops\n"):
                gate.touch()  # the stream showed this while the step still ran
        assert text == "first\noops\nlast word\n"
    assert server.wait(run)["state"] == "SUCCEEDED"


def test_after_restart(fresh, shared_dir, unique):
    server = fresh(flags=see(shared_dir)).start()
    gate = shared_dir / unique
    gate.touch()
    report = server.run(gated(gate))
    server.restart()
    assert server.log_of(report, "talk") == "first\noops\nlast word\n"


def test_large_and_odd_output(server):
    script = "head -c 3000000 /dev/zero | tr '\\0' x; printf '\\377\\000tail'"
    report = server.run(pipeline("loud", {"talk": step(shell(script))}))
    task_id = server.task(report, "talk")["task_id"]
    answer = server.call("GET", f"/apis/v1alpha1/runs/{report['run_id']}/nodes/{task_id}/log")
    assert answer.content == b"x" * 3_000_000 + b"\xff\x00tail"


def test_unknown_log(server):
    answer = server.call("GET", "/apis/v1alpha1/runs/nosuch/nodes/nosuch/log")
    assert answer.status_code == 404 and "nosuch" in answer.text


def test_log_limit(fresh):
    server = fresh(flags=["--log-limit", "100000"]).start()
    report = server.run(pipeline("flood", {"talk": step(shell("yes flood"))}), timeout=30)
    assert report["state"] == "FAILED"
    assert "log" in server.task(report, "talk")["error"]
