"""Retry of a run: what failed is done again in the same run, what succeeded is kept."""

import json
import shlex

import pytest

from harness import FINAL, caudal, report_of, see, wait_until
from ir import group, output, output_file, param, pipeline, shell, step

COUNT = "n=$(cat {0} 2>/dev/null || echo 0); echo $((n+1)) > {0}"


@pytest.fixture
def gates(shared_dir, unique):
    folder = shared_dir / unique
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def fragile(name, gates):
    """make → judge → after, beside: judge fails until its gate is there; each counts its starts."""
    def count(task):
        return COUNT.format(shlex.quote(str(gates / task)))
    return pipeline(name, {
        "make": step(shell(count("make") + '; printf 7 > "$0"', output_file("n")),
                     out={"n": "NUMBER_INTEGER"}),
        "judge": step(shell(count("judge") + f"; test -e {gates}/open && test $0 = 7", param("n")),
                      params={"n": output("make", "n")}, types={"n": "NUMBER_INTEGER"}),
        "after": step(shell(count("after")), after=["judge"]),
        "beside": step(shell(count("beside")))})


def starts(gates):
    return {task: int((gates / task).read_text())
            for task in ("make", "judge", "after", "beside") if (gates / task).exists()}


def states(report):
    return {task["path"]: task["state"] for task in report["tasks"]}


# row: E164
def test_by_the_command_line(server, gates, unique):
    failed = server.run(fragile(unique, gates))
    assert states(failed) == {"make": "SUCCEEDED", "judge": "FAILED", "after": "OMITTED",
                              "beside": "SUCCEEDED"}
    (gates / "open").touch()
    target = ["--data-dir", server.data_dir]
    done = caudal("run", "retry", failed["run_id"], "--json", *target)
    assert done.returncode == 0, done.stderr
    report = report_of(done)
    assert report["run_id"] == failed["run_id"] and report["state"] == "SUCCEEDED"
    assert set(states(report).values()) == {"SUCCEEDED"}
    assert starts(gates) == {"make": 1, "judge": 2, "after": 1, "beside": 1}
    ids = {task["path"]: task["task_id"] for task in failed["tasks"]}
    assert ids == {task["path"]: task["task_id"] for task in report["tasks"]}
    again = caudal("run", "retry", failed["run_id"], *target)
    assert again.returncode == 2 and "SUCCEEDED" in again.stderr, again.stderr


# row: E164 A235
def test_by_the_sdk(server, client_of, gates, unique):
    import kfp_server_api
    runs = client_of(server)._run_api
    failed = server.run(fragile(unique, gates))
    run_id = failed["run_id"]
    before = server.get(f"/runs/{run_id}")["state_history"]
    runs.run_service_retry_run(run_id=run_id)
    server.wait(run_id)
    after = server.get(f"/runs/{run_id}")
    assert after["state"] == "FAILED"
    history = [entry["state"] for entry in after["state_history"]]
    assert history[:len(before)] == [entry["state"] for entry in before]
    assert "RUNNING" in history[len(before):] and history[-1] == "FAILED"
    with pytest.raises(kfp_server_api.ApiException) as unknown:
        runs.run_service_retry_run(run_id="nosuch")
    assert unknown.value.status == 404 and json.loads(unknown.value.body)["code"] == 5
    (gates / "open").touch()
    runs.run_service_retry_run(run_id=run_id)
    assert server.wait(run_id)["state"] == "SUCCEEDED"
    with pytest.raises(kfp_server_api.ApiException) as succeeded:
        runs.run_service_retry_run(run_id=run_id)
    assert succeeded.value.status == 409 and json.loads(succeeded.value.body)["code"] == 10
    assert starts(gates) == {"make": 1, "judge": 3, "after": 1, "beside": 1}


def test_of_a_canceled_run(server, gates, unique):
    spec = pipeline(unique, {
        "hold": step(shell(COUNT.format(gates / "hold") + f"; test -e {gates}/open || sleep 600")),
        "later": step(shell("true"), after=["hold"])})
    run_id = server.create_run(spec)
    wait_until(lambda: (gates / "hold").exists(), 30, "start of the step")
    server.post(f"/apis/caudal/v1/runs/{run_id}:cancel", now="true")
    assert server.wait(run_id)["cancelled"]
    (gates / "open").touch()
    done = caudal("run", "retry", run_id, "--detach", "--data-dir", server.data_dir)
    assert done.stdout.strip() == run_id and "caudal run watch" in done.stderr
    report = server.wait(run_id)
    assert report["state"] == "SUCCEEDED" and not report.get("cancelled")


def test_inside_a_group(server, gates, unique):
    spec = pipeline(unique, {"outer": group({
        "kept": step(shell(COUNT.format(gates / "kept"))),
        "broken": step(shell(f"test -e {gates}/open"))})})
    failed = server.run(spec)
    assert failed["state"] == "FAILED"
    (gates / "open").touch()
    server.post(f"/apis/caudal/v1/runs/{failed['run_id']}:retry")
    assert server.wait(failed["run_id"])["state"] == "SUCCEEDED"
    assert (gates / "kept").read_text().strip() == "1"


@pytest.mark.parametrize("isolation", ["sandbox", "process"])
def test_a_killed_server_goes_on_with_it(fresh, shared_dir, gates, unique, isolation):
    server = fresh(isolation=isolation, flags=see(shared_dir)).start()
    spec = pipeline(unique, {
        "make": step(shell(COUNT.format(gates / "make"))),
        "judge": step(shell(f"echo s >> {gates}/judge; test -e {gates}/second || exit 1; "
                            f"while ! test -e {gates}/open; do sleep 0.05; done"), after=["make"])})
    failed = server.run(spec)
    server.kill9()
    server.start()
    (gates / "second").touch()
    run_id = failed["run_id"]
    server.post(f"/runs/{run_id}:retry")
    wait_until(lambda: (gates / "judge").read_text().count("s") == 2, 30, "second start")
    server.kill9()
    server.start()
    assert server.report(run_id)["state"] not in FINAL
    (gates / "open").touch()
    report = server.wait(run_id)
    assert report["state"] == "SUCCEEDED"
    assert (gates / "make").read_text().strip() == "1"
    assert (gates / "judge").read_text().count("s") == 2
