"""Many small steps at once: as parallel as the machine's cores admit, and the server stays small."""

import os
import pathlib
import threading
import time

from ir import pipeline, shell, step

STEPS, CPU_MILLI = 50, 100


def anonymous_mb(pid):
    """Anonymous resident memory of a process, in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def test_fifty_sleeps(fresh):
    # row: E41
    spec = pipeline("fifty", {f"nap-{i}": step(shell("exec sleep 1"), cpu="100m")
                              for i in range(STEPS)})
    server = fresh().start()
    idle, peak, over = anonymous_mb(server.pid), [0.0], threading.Event()

    def watch():
        while not over.wait(0.05):
            peak[0] = max(peak[0], anonymous_mb(server.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    report = server.run(spec, timeout=90)
    wall = time.monotonic() - start
    over.set()
    watcher.join()

    at_once = os.cpu_count() * 1000 // CPU_MILLI
    rounds = -(-STEPS // at_once)
    print(f"{STEPS} naps of 1 s: {wall:.1f} s, at least {rounds} rounds; server {idle:.0f} MB idle, "
          f"{peak[0]:.0f} MB at most")
    assert report["state"] == "SUCCEEDED"
    assert wall >= rounds * 0.95, "more steps ran at once than their requests admit"
    assert wall < rounds + 12, "steps wait longer than they must"
    assert idle < 40 and peak[0] < 60


def test_requests_bound_what_runs_at_once(fresh):
    """Steps that ask for all cores run one after the other."""
    cores = f"{os.cpu_count()}"
    spec = pipeline("greedy", {f"nap-{i}": step(shell("exec sleep 0.5"), cpu=cores)
                               for i in range(4)})
    server = fresh().start()
    report = server.run(spec, timeout=60)
    spans = sorted((int(t["started_at"]), int(t["ended_at"])) for t in report["tasks"] if t.get("path"))
    assert report["state"] == "SUCCEEDED"
    for (_, end), (start, _) in zip(spans, spans[1:]):
        assert start >= end - 50_000, f"two greedy steps at once: {spans}"


def test_request_no_machine_can_meet(fresh):
    """A step that asks for more than there is runs alone, and its record says so."""
    server = fresh().start()
    report = server.run(pipeline("too-big", {"big": step(shell("exit 0"), cpu="4000")}), timeout=30)
    task = server.task(report, "big")
    assert report["state"] == "SUCCEEDED"
    assert any("4000 cores" in note for note in task["notes"]), task
