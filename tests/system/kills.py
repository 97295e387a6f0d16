"""Runs that are interrupted by SIGKILL at moments drawn from a seed, and what must hold afterwards.

A `World` is one data directory with its server. Each `Moment` is one run (or one burst of submissions)
in it, with one kill or several. Steps keep a ledger: a line at each start and end, under a lock that
the kernel takes from the dead only, so that two live attempts of one task cannot hide.
"""

import collections
import dataclasses
import os
import pathlib
import random
import signal
import sqlite3
import threading
import time

import requests

from harness import FINAL, Server, see, steps_of, wait_until
from ir import artifact_path, group, input_path, output, output_file, param, pipeline, shell, step

# $0 ledger, $1 task, $2 seconds, $3 file of the output parameter, $4 directory of the artifact, then
# pairs of what upstream tasks say: a parameter and the directory that must say the same.
# The attempt's mark is the outcome, so that outputs of two attempts cannot be mixed unseen. A process
# in a session of its own is left behind, with the lock.
STEP = r"""
ledger="$0" task="$1" seconds="$2" text="$3" data="$4"
shift 4
note() { echo "$1 $task $CAUDAL_ATTEMPT $(date +%s.%N)" >> "$ledger"; }
exec 9>> "$ledger.$task"
flock -n 9 || note twice
note start
while [ $# -gt 1 ]; do
  [ "$(cat "$2/first")" = "$1" ] && [ "$(cat "$2/last")" = "$1" ] || note torn
  shift 2
done
setsid sleep 120 &
mkdir -p "$data"
echo "$CAUDAL_ATTEMPT" > "$data/first"
printf %s "$CAUDAL_ATTEMPT" > "$text"
sleep "$seconds"
echo "$CAUDAL_ATTEMPT" > "$data/last"
note end
"""

# What is killed, and how often such a moment is drawn.
VICTIMS = {
    "server": 6,
    "server twice": 2,            # again while it recovers
    "supervisor": 5,
    "supervisor and server": 3,   # together, as when the machine dies
    "supervisor, then server": 2,  # the server is dealing with the loss
    "server, then supervisor": 2,  # the loss is found at the next start
    "step": 3,
    "keeper": 2,
    "part of a step": 2,          # a process that it started
    "server in submission": 3,
    "server in termination": 2,
}
SETTLES_IN = 40  # s until a run must be final after its last kill, on a busy machine


def work(ledger, name, seconds, upstream=(), after=()):
    """A ledger step that reads what tasks in the same graph, `upstream`, have put out."""
    params = {"ledger": ledger, "name": name, "seconds": f"{seconds:.3f}"}
    words, artifacts = [], {}
    for number, task in enumerate(upstream):
        params[f"token{number}"] = output(task, "token")
        artifacts[f"data{number}"] = output(task, "data")
        words += [param(f"token{number}"), input_path(f"data{number}")]
    return step(shell(STEP, param("ledger"), param("name"), param("seconds"), output_file("token"),
                      artifact_path("data"), *words),
                params=params, artifacts=artifacts, out={"token": "STRING"},
                out_artifacts={"data": "system.Dataset"}, after=after, cpu="50m")


def fan_out(draw, ledger):
    """One, then several at once, then one that joins them."""
    wide = [f"f{i}" for i in range(draw.randint(3, 7))]
    steps = {"seed": work(ledger, "seed", draw.uniform(0, 0.05))}
    for name in wide:
        steps[name] = work(ledger, name, draw.uniform(0, 0.15), ["seed"])
    steps["join"] = work(ledger, "join", draw.uniform(0, 0.05), wide)
    return pipeline("kill-fan-out", steps, outputs={"out": ("join", "token")}), "join"


def chain(draw, ledger):
    names = [f"c{i}" for i in range(draw.randint(4, 7))]
    steps = {}
    for before, name in zip([None, *names], names):
        steps[name] = work(ledger, name, draw.uniform(0, 0.08), [before] if before else [])
    return pipeline("kill-chain", steps, outputs={"out": (names[-1], "token")}), names[-1]


def nested(draw, ledger):
    """Pipelines in pipelines; the second waits for the first, the last step for both."""
    def inner(prefix):
        first, second = f"{prefix}a", f"{prefix}b"
        return group({first: work(ledger, first, draw.uniform(0, 0.06)),
                      second: work(ledger, second, draw.uniform(0, 0.06), [first])},
                     outputs={"out": (second, "token")})

    outer = group({"deep": inner("x"), "y": work(ledger, "y", draw.uniform(0, 0.06), after=["deep"])},
                  params={"word": "w"}, outputs={"out": ("y", "token")})
    steps = {"one": outer, "two": {**inner("z"), "after": ["one"]}, "side": inner("s"),
             "end": work(ledger, "end", 0.01, after=["one", "two", "side"])}
    return pipeline("kill-nested", steps, outputs={"out": ("end", "token")}), "end"


SHAPES = {"fan-out": fan_out, "chain": chain, "nested": nested}


@dataclasses.dataclass
class Moment:
    """What a number under a seed stands for."""
    seed: str
    number: int

    def __post_init__(self):
        self.draw = random.Random(f"{self.seed}/{self.number}")
        self.victim = self.draw.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        self.shape = self.draw.choice(list(SHAPES))

    def __str__(self):
        return f"moment {self.number} of seed {self.seed}: {self.victim}, {self.shape}"


class Ledger:
    def __init__(self, path):
        self.path = path
        path.touch()
        path.chmod(0o666)

    def lines(self):
        return [line.split() for line in self.path.read_text().splitlines()]

    def starts(self, task):
        return [(mark, float(at)) for word, name, mark, at in self.lines()
                if word == "start" and name == task]

    def ended(self, task, mark):
        return any(line[:3] == ["end", task, mark] for line in self.lines())

    def first_start_after(self, time_):
        times = [float(at) for word, _, _, at in self.lines() if word == "start" and float(at) > time_]
        return min(times, default=None)


class Watcher:
    """Asks for the report again and again; what it has once said for good must stay."""

    def __init__(self, world, run):
        self.world, self.run = world, run
        self.settled, self.faults, self.state = {}, [], ""
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        session = requests.Session()
        while not self.over.is_set():
            try:
                answer = session.get(f"{self.world.server.url}/apis/caudal/v1/runs/{self.run}", timeout=5)
            except requests.RequestException:
                self.over.wait(0.01)
                continue
            if answer.status_code == 200:
                self.look(answer.json())
            elif answer.status_code == 404:
                self.faults.append("an acknowledged run is not there")
            self.over.wait(0.015)

    def look(self, report):
        self.state = report.get("state", "")
        final = {"": report} if self.state in FINAL else {}
        final.update({t["path"]: t for t in report.get("tasks", [])
                      if t.get("path") and t.get("state") in {"SUCCEEDED", "FAILED", "OMITTED", "CANCELED"}})
        for path, body in final.items():
            told = {key: body.get(key) for key in
                    ("state", "attempts", "ended_at", "outputs", "error") if key in body}
            before = self.settled.setdefault(path, told)
            if before != told:
                self.faults.append(f"'{path}' was {before} and became {told}")
        for path in set(self.settled) - set(final):
            self.faults.append(f"'{path}' was {self.settled[path]} and is so no more")
        for task in report.get("tasks", []):
            self.check_outputs(task)

    def check_outputs(self, task):
        """All at once or not at all, and of one attempt."""
        artifacts = (task.get("artifacts") or {}).get("data", {}).get("artifacts") or []
        token = (task.get("outputs") or {}).get("token")
        if (token is None) != (not artifacts):
            self.faults.append(f"{task['path']} shows a part of its outputs: {task}")
        for artifact in artifacts:
            for name in ("first", "last"):
                try:
                    said = (pathlib.Path(artifact["path"]) / name).read_text().strip()
                except OSError as fault:
                    said = str(fault)
                if said != token:
                    self.faults.append(f"{task['path']}: {name} says {said!r}, token is {token!r}")

    def stop(self):
        self.over.set()
        self.thread.join()
        assert not self.faults, self.faults[:3]


class World:
    """A data directory that lives through many moments."""

    def __init__(self, isolation, folder):
        folder.mkdir()
        folder.chmod(0o777)
        self.folder = folder
        self.server = Server(isolation=isolation, flags=[*see(folder), "--kill-grace", "1s"])
        self.server.start()
        self.kills = 0
        self.restarts = []  # seconds from a new server's start to the first start of an attempt
        self.readies = []
        self.losses = []    # seconds from a supervisor's death to the first start of an attempt

    # Who can be killed.

    def supervisor(self):
        token = str(self.server.data_dir).encode()
        for pid in _pids():
            words = _read(f"/proc/{pid}/cmdline").split(b"\0")
            if words[1:2] == [b"supervise"] and token in words and _comm(pid) != "caudal-keeper":
                return pid
        return None

    def keepers(self):
        parent = self.supervisor()
        return [pid for pid in _pids() if _comm(pid) == "caudal-keeper" and _parent(pid) == parent]

    def step_processes(self):
        keepers = set(self.keepers())
        return [pid for pid in _pids() if _parent(pid) in keepers and _task_of(pid)]

    def kill(self, pid):
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.kills += 1
        return True

    def kill_server(self):
        self.server.kill9()
        self.kills += 1

    def restart(self):
        at = time.time()
        self.server.start()
        self.readies.append(time.time() - at)
        return at

    # One moment.

    def live_through(self, moment):
        ledger = Ledger(self.folder / f"ledger-{moment.number}")
        if moment.victim == "server in submission":
            self.submit_under_fire(moment, ledger)
        else:
            self.interrupt(moment, ledger)
        self.check_clean()

    def interrupt(self, moment, ledger):
        draw = moment.draw
        spec, last = SHAPES[moment.shape](draw, str(ledger.path))
        steps = sum("executorLabel" in c for c in spec["components"].values())
        run = self.server.create_run(spec, name=f"{moment.number}")
        watcher = Watcher(self, run)
        self.wait_for_moment(draw, ledger, steps)
        settled = dict(watcher.settled)
        victim = getattr(self, "_" + moment.victim.replace(",", "").replace(" ", "_"))(draw, run, ledger)
        report = self.server.wait(run, timeout=SETTLES_IN)
        wait_until(lambda: watcher.state in FINAL or watcher.faults, 10, "final state in the watcher")
        watcher.stop()
        check(moment.victim, victim, report, ledger, last, steps, settled)
        if moment.number % 10 == 0:
            self.restart_cleanly(run, report)

    @staticmethod
    def wait_for_moment(draw, ledger, steps):
        """Just after some line of the ledger, or a while after the start."""
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0, 0.3))
            return
        lines = draw.randint(1, 2 * steps - 1)
        end = time.monotonic() + SETTLES_IN
        while ledger.path.read_text().count("\n") < lines and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.04))

    def restart_cleanly(self, run, report):
        assert self.server.stop() == 0
        self.server.start()
        assert self.server.report(run) == report, "a restart changed an ended run"

    def _server(self, draw, run, ledger):
        self.kill_server()
        time.sleep(draw.choice([0, 0, draw.uniform(0, 0.2)]))
        self.restarts.append((self.restart(), ledger))

    def _server_twice(self, draw, run, ledger):
        self.kill_server()
        self.server.spawn()
        time.sleep(draw.uniform(0, 0.15))
        self.kill_server()
        self.restarts.append((self.restart(), ledger))

    def _supervisor(self, draw, run, ledger):
        self.losses.append((time.time(), ledger))
        self.kill(self.supervisor())

    def _supervisor_and_server(self, draw, run, ledger):
        self.kill(self.supervisor())
        self.kill_server()
        self.restarts.append((self.restart(), ledger))

    def _supervisor_then_server(self, draw, run, ledger):
        self.kill(self.supervisor())
        time.sleep(draw.uniform(0, 0.05))
        self.kill_server()
        self.restarts.append((self.restart(), ledger))

    def _server_then_supervisor(self, draw, run, ledger):
        self.kill_server()
        time.sleep(draw.uniform(0, 0.1))
        self.kill(self.supervisor())
        self.restarts.append((self.restart(), ledger))

    def _step(self, draw, run, ledger):
        return self.kill_one(draw, self.step_processes)

    def _keeper(self, draw, run, ledger):
        return self.kill_one(draw, lambda: [p for k in self.keepers() for p in [k] if self.task_under(k)])

    def _part_of_a_step(self, draw, run, ledger):
        self.kill_one(draw, lambda: [child for pid in self.step_processes() for child in _children(pid)
                                     if _comm(child) == "sleep"])

    def _server_in_termination(self, draw, run, ledger):
        try:
            self.server.post(f"/runs/{run}:terminate")
        except AssertionError:
            assert self.server.report(run)["state"] in FINAL  # it was faster
        time.sleep(draw.uniform(0, 0.05))
        self.kill_server()
        self.restart()

    def task_under(self, keeper):
        return next((t for t in map(_task_of, _children(keeper)) if t), None)

    def kill_one(self, draw, candidates):
        """Kills one of those and returns (task, attempt) of the step that this was a part of."""
        for _ in range(200):
            found = candidates()
            if found:
                pid = draw.choice(sorted(found))
                whose = _task_of(pid) or self.task_under(pid)
                if self.kill(pid):
                    return whose
            time.sleep(0.005)
        return None

    def submit_under_fire(self, moment, ledger):
        """Runs are submitted while the server dies: what it has acknowledged is there afterwards."""
        spec = pipeline("kill-submit", {"only": work(str(ledger.path), "only", 0)})
        acknowledged, died = [], threading.Event()

        def submit():
            while not died.is_set() and len(acknowledged) < 30:
                try:
                    acknowledged.append(self.server.create_run(spec, name="burst"))
                except requests.RequestException:
                    return

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(moment.draw.uniform(0.005, 0.2))
        self.kill_server()
        died.set()
        for thread in threads:
            thread.join()
        self.restart()
        for run in acknowledged:
            assert self.server.wait(run, timeout=SETTLES_IN)["state"] == "SUCCEEDED"
        wait_until(lambda: not any(r.get("state") not in FINAL for r in self.runs()), SETTLES_IN,
                   "end of the runs that were not acknowledged")
        marks = [line[2] for line in ledger.lines() if line[0] == "start"]
        assert len(marks) == len(set(marks)), "an attempt was started twice"
        # The lock is of the one name that all these runs share, so `twice` means nothing here.

    def runs(self):
        return self.server.get("/runs", page_size=100, sort_by="created_at desc").get("runs", [])

    # After each moment, and at the end of the world.

    def check_clean(self):
        """No step, and no work directory."""
        data = self.server.data_dir
        wait_until(lambda: not steps_of(data), 10, f"end of the steps {steps_of(data)}")
        wait_until(lambda: not work_of(data), 10, f"removal of work directories {work_of(data)}")
        with sqlite3.connect(f"file:{data / 'caudal.db'}?mode=ro", uri=True) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            assert database.execute("SELECT COUNT(*) FROM outbox").fetchone() == (0,)
        database.close()

    def end(self):
        """A last restart, after which nothing may lie about that no row speaks of."""
        data = self.server.data_dir
        self.server.stop()
        self.server.start()
        with sqlite3.connect(f"file:{data / 'caudal.db'}?mode=ro", uri=True) as database:
            blobs = {row[0] for row in database.execute("SELECT blob FROM object")}
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
        wait_until(lambda: not stray_objects(data, blobs), 10, f"sweep of {stray_objects(data, blobs)}")
        self.server.stop()
        left = self.server.end_leftovers(grace=20)
        assert not left, f"processes were left behind: {left}"
        assert not (data / "work/supervisor.sock").exists()
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        assert data.name not in mounts, "mounts were left behind"

    def abandon(self):
        if self.server.process.poll() is None:
            self.server.kill9()
        self.server.end_leftovers(grace=0)


def check(victim, killed, report, ledger, last, steps, settled):
    """What must hold of a run that has ended."""
    lines = ledger.lines()
    assert not [line for line in lines if line[0] == "torn"], "a step read torn outputs"
    assert not [line for line in lines if line[0] == "twice"], "two live attempts of one task"
    starts = collections.defaultdict(list)
    for word, name, mark, at in lines:
        if word == "start":
            starts[name].append(mark)
    for name, marks in starts.items():
        assert len(marks) == len(set(marks)), f"an attempt of {name} was started twice: {marks}"
    tasks = {task["path"].split("/")[-1]: task for task in report["tasks"] if task.get("path")}
    for path, told in settled.items():  # succeeded before the kill, so never again
        name = path.split("/")[-1]
        if told["state"] == "SUCCEEDED" and name in starts:
            assert starts[name][-1] == told["outputs"]["token"], f"{name} ran again: {starts[name]}"
    if victim == "server in termination":
        assert report["state"] == "SUCCEEDED" or (report["state"] == "FAILED" and report["cancelled"])
        return
    if killed:
        check_killed_step(killed, report, tasks, ledger)
        if report["state"] == "FAILED":
            return
    assert report["state"] == "SUCCEEDED", report
    assert len(starts) == steps, f"{len(starts)} of {steps} steps ran"
    assert report["outputs"]["out"] == starts[last][-1]
    costly = "supervisor" in victim
    for name, marks in starts.items():
        assert len(marks) <= (2 if costly else 1), f"{name} ran {len(marks)} times: {marks}"
        assert tasks[name]["outputs"]["token"] == marks[-1], f"{name}: not the last attempt's outputs"
        assert ledger.ended(name, marks[-1])


def check_killed_step(killed, report, tasks, ledger):
    """It fails its run and says why; unless it was through before the kill came."""
    mark, name = killed
    task = tasks[name]
    if report["state"] == "SUCCEEDED":
        assert ledger.ended(name, mark), f"{name} was killed and succeeded"
        return
    assert report["state"] == "FAILED" and task["state"] == "FAILED", report
    assert "SIGKILL" in task["error"], task
    assert task["attempts"] == 1
    assert name in report["error"]["message"], report["error"]
    for other in tasks.values():
        assert other["state"] in {"SUCCEEDED", "FAILED", "OMITTED"}, other


def work_of(data_dir):
    return sorted(p.name for p in (data_dir / "work").iterdir()
                  if p.name not in {"supervisor.sock", "supervisor.lock"})


def stray_objects(data_dir, blobs):
    """Attempts' trees under objects/ that no row refers to."""
    known = {"/".join(blob.split("/")[:2]) for blob in blobs}
    objects = data_dir / "objects"
    return sorted({str(tree.relative_to(objects)) for tree in objects.glob("*/*")} - known)


def _pids():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def _comm(pid):
    return _read(f"/proc/{pid}/comm").decode().strip()


def _parent(pid):
    stat = _read(f"/proc/{pid}/stat").decode(errors="replace")
    return int(stat.rsplit(")", 1)[1].split()[1]) if ")" in stat else 0


def _children(pid):
    return [int(p) for p in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _task_of(pid):
    """(mark, task) of a ledger step's shell."""
    words = _read(f"/proc/{pid}/cmdline").split(b"\0")
    mark = [v[len(b"CAUDAL_ATTEMPT="):].decode() for v in _read(f"/proc/{pid}/environ").split(b"\0")
            if v.startswith(b"CAUDAL_ATTEMPT=")]
    return (mark[0], words[4].decode()) if words[:2] == [b"sh", b"-c"] and mark else None
