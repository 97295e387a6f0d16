"""kill -9 of the server, again and again, while a run goes on: nothing is lost, nothing runs twice."""

import collections
import os
import pathlib
import random
import time

import pytest
import yaml

from harness import FINAL, ROOT, see, steps_of, wait_until
from installers import installers_of
from ir import param, pipeline, shell, step

KILLS = 20
CHAINS, LENGTH = 2, 20
# Each line is one write of less than PIPE_BUF to a file opened for appending: never torn.
SCRIPT = ('echo "start $1 $CAUDAL_ATTEMPT $(date +%s.%N)" >> "$0"; sleep 0.4; '
          'echo "end $1 $CAUDAL_ATTEMPT $(date +%s.%N)" >> "$0"')


def chains(ledger):
    steps = {}
    for chain in range(CHAINS):
        for place in range(LENGTH):
            name = f"c{chain}-{place}"
            after = [f"c{chain}-{place - 1}"] if place else []
            steps[name] = step(shell(SCRIPT, param("ledger"), name), params={"ledger": ledger},
                               after=after)
    return pipeline("kill-chains", steps)


def read_ledger(path):
    """(step -> [(attempt, start, end or None)])"""
    attempts = collections.OrderedDict()
    for line in path.read_text().splitlines():
        word, name, attempt, at = line.split()
        if word == "start":
            attempts.setdefault((name, attempt), []).append([float(at), None])
        else:
            attempts[name, attempt][-1][1] = float(at)
    steps = collections.defaultdict(list)
    for (name, attempt), spans in attempts.items():
        steps[name] += [(attempt, start, end) for start, end in spans]
    return steps


@pytest.mark.parametrize("isolation", ["process", "sandbox"])
@pytest.mark.timeout(240)
def test_kill9_loses_and_repeats_nothing(fresh, isolation, shared_dir):
    # row: E41
    folder = shared_dir / f"ledgers-{isolation}"
    folder.mkdir()
    folder.chmod(0o777)
    server = fresh(isolation=isolation, flags=see(folder)).start()
    random_delay = random.Random(20240501)
    kills, runs = 0, []
    while kills < KILLS or not runs:
        ledger = folder / f"ledger-{len(runs)}.txt"
        ledger.touch()
        ledger.chmod(0o666)
        run = server.create_run(chains(str(ledger)))
        runs.append((run, ledger))
        while kills < KILLS:
            time.sleep(random_delay.uniform(0.02, 0.7))  # the seeded moment; nothing is awaited
            server.kill9()
            kills += 1
            server.start()
            if server.report(run)["state"] in FINAL:
                break
    for run, ledger in runs:
        report = server.wait(run, timeout=90)
        assert report["state"] == "SUCCEEDED", report
        steps = read_ledger(ledger)
        assert len(steps) == CHAINS * LENGTH
        for name, spans in steps.items():
            ends = [span for span in spans if span[2] is not None]
            assert len(ends) == 1, f"{name} ended {len(ends)} times: {spans}"
            assert len(spans) == 1, f"{name} started {len(spans)} times: {spans}"
        for chain in range(CHAINS):
            for place in range(1, LENGTH):
                before, after = steps[f"c{chain}-{place - 1}"][0], steps[f"c{chain}-{place}"][0]
                assert before[2] <= after[1], f"c{chain}-{place} started before its upstream ended"
    assert not steps_of(server.data_dir), "steps outlive their run"


def test_step_goes_on_while_the_server_is_down(fresh, shared_dir):
    """A step started before the kill is the same process after it."""
    gate = shared_dir / "gate-down"
    spec = pipeline("survivor", {"wait": step(
        shell('echo begun; while [ ! -e "$0" ]; do sleep 0.05; done; echo done $$', param("gate")),
        params={"gate": str(gate)})})
    server = fresh(flags=see(shared_dir)).start()
    run = server.create_run(spec)
    wait_until(lambda: steps_of(server.data_dir), 30, "running step")
    before = set(steps_of(server.data_dir))
    server.kill9()
    gate.touch()
    wait_until(lambda: not steps_of(server.data_dir), 20, "end of the step without a server")
    server.start()
    report = server.wait(run, timeout=30)
    assert report["state"] == "SUCCEEDED" and before
    assert server.task(report, "wait").get("attempts") == 1
    assert server.log_of(report, "wait").startswith("begun\ndone ")


def test_sigterm_ends_no_run(fresh, shared_dir):
    """A clean stop leaves runs as they are; the next server carries on."""
    gate = shared_dir / "gate-term"
    spec = pipeline("patient", {
        "wait": step(shell('while [ ! -e "$0" ]; do sleep 0.05; done', param("gate")),
                     params={"gate": str(gate)}),
        "next": step(shell("echo next"), after=["wait"])})
    server = fresh(flags=see(shared_dir)).start()
    run = server.create_run(spec)
    wait_until(lambda: steps_of(server.data_dir), 30, "running step")
    assert server.stop() == 0
    assert steps_of(server.data_dir), "the step was ended by the server's stop"
    server.start()
    assert server.report(run)["state"] == "RUNNING"
    gate.touch()
    assert server.wait(run, timeout=30)["state"] == "SUCCEEDED"


def test_terminate_survives_kill9(fresh):
    server = fresh().start()
    run = server.create_run(pipeline("stubborn", {"nap": step(shell("exec sleep 600"))}))
    wait_until(lambda: steps_of(server.data_dir), 30, "running step")
    server.post(f"/runs/{run}:terminate")
    server.kill9()
    server.start()
    report = server.wait(run, timeout=30)
    assert report["state"] == "FAILED" and report["cancelled"]
    wait_until(lambda: not steps_of(server.data_dir), 20, "end of the terminated step")


def test_supervisor_death_costs_an_attempt_and_no_run(fresh, shared_dir):
    """The parent of the steps is killed: the step is gone, is lost, and runs again."""
    ledger = shared_dir / "lost-ledger"
    ledger.touch()
    ledger.chmod(0o666)
    gate = shared_dir / "gate-lost"
    spec = pipeline("lost-once", {"wait": step(
        shell('echo x >> "$0"; while [ ! -e "$1" ]; do sleep 0.05; done',
              param("ledger"), param("gate")),
        params={"ledger": str(ledger), "gate": str(gate)})})
    server = fresh(flags=see(shared_dir)).start()
    run = server.create_run(spec)
    wait_until(lambda: ledger.read_text() == "x\n", 30, "start of the step")
    for pid in pathlib.Path("/proc").iterdir():
        if not pid.name.isdigit():
            continue
        try:
            words = (pid / "cmdline").read_bytes()
        except OSError:
            continue
        if b"supervise" in words and server.data_dir.name.encode() in words:
            os.kill(int(pid.name), 9)
    wait_until(lambda: ledger.read_text() == "x\nx\n", 30, "second start of the lost step")
    gate.touch()
    report = server.wait(run, timeout=30)
    assert report["state"] == "SUCCEEDED"
    assert server.task(report, "wait")["attempts"] == 2


@pytest.mark.parametrize("isolation", ["process", "sandbox"])
def test_kill9_during_an_environment_build(fresh, isolation):
    """The build dies with its server and is begun again; what it had made so far is used by nobody."""
    spec = yaml.safe_load((ROOT / "examples" / "quickstart" / "fit_line.yaml").read_text())
    server = fresh(isolation=isolation).start()
    run = server.create_run(spec, {"rows": 20})
    random_delay = random.Random(20241124)
    for _ in range(4):
        wait_until(lambda: installers_of(server.data_dir), 60, "build of an environment", every=0.005)
        time.sleep(random_delay.uniform(0, 0.8))  # the seeded moment; nothing is awaited
        server.kill9()
        wait_until(lambda: not installers_of(server.data_dir), 5, "end of the orphaned build")
        server.start()
    report = server.wait(run, timeout=120)
    assert report["state"] == "SUCCEEDED", server.log_of(report, "make-points")
    assert all(task["attempts"] == 1 for task in report["tasks"] if task["kind"] == "container")
    drafts = [p for p in server.data_dir.glob("envs/*") if "draft" in p.name or "tmp" in p.name]
    assert not drafts, f"half an environment is left: {drafts}"
