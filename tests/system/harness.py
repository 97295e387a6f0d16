"""Drives the real binary: servers on loopback ports that the kernel picks, runs, waiting, and the
search for processes that were left behind."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("CAUDAL_BINARY", ROOT / "build" / "release" / "caudal"))
FINAL = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}
V2 = "/apis/v2beta1"


def wait_until(condition, timeout, what, every=0.02):
    """Polls until `condition()` is truthy and returns it; fails with `what` after `timeout` s."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout} s still no {what}")
        time.sleep(every)


def new_data_dir():
    """A folder whose name occurs nowhere else, so that what uses it can be found."""
    return pathlib.Path(tempfile.mkdtemp(prefix="caudal-test-")) / f"data-{uuid.uuid4().hex}"


def see(folder):
    """Server flags that let steps write a host folder at its own path, also in a sandbox."""
    return ["--mount", f"{folder}:{folder}:rw"]


def caudal(*words, timeout=120, env=None, cwd=None):
    """One command to its end."""
    return subprocess.run([str(BINARY), *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})}, cwd=cwd,
                          stdin=subprocess.DEVNULL)


def report_of(done):
    """The one JSON object that `--json` prints."""
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"exit {done.returncode}, standard output is no JSON object:\n"
                             f"{done.stdout[:2000]}\nstandard error:\n{done.stderr[:3000]}") from None


def _read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def belongs_to(pid, data_dir):
    """Whether a process has anything to do with a data directory: names it in its words or
    environment, stands in it, or sees a part of it mounted."""
    token = data_dir.name.encode()
    try:
        folder = os.readlink(f"/proc/{pid}/cwd").encode()
    except OSError:
        folder = b""
    return (token in folder or token in _read(f"/proc/{pid}/cmdline")
            or token in _read(f"/proc/{pid}/environ") or token in _read(f"/proc/{pid}/mountinfo"))


def processes_of(data_dir):
    """pid -> command line of every process that `belongs_to` a data directory."""
    pids = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid: _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
            for pid in pids if pid != os.getpid() and belongs_to(pid, data_dir)}


def steps_of(data_dir):
    """Those of `processes_of` that run user code."""
    return {pid: words for pid, words in processes_of(data_dir).items()
            if b"CAUDAL_ATTEMPT=" in _read(f"/proc/{pid}/environ")}


ended = []  # servers that were closed, until leftovers_of_all has looked after them


def leftovers_of_all():
    """Processes of closed servers that should have gone by now, killed; and their files removed."""
    left = {}
    for server in ended:
        left.update(server.end_leftovers())
        shutil.rmtree(server.data_dir.parent, ignore_errors=True)
    ended.clear()
    return left


class Server:
    """One `caudal server`. Use `start` again after `stop` or `kill9` for the same data directory."""

    def __init__(self, data_dir=None, isolation=None, flags=(), env=None):
        self.data_dir = data_dir or new_data_dir()
        self.isolation = isolation
        self.flags = list(flags)
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.url = None
        self.ready = None

    @property
    def pid(self):
        return self.process.pid

    def spawn(self):
        ready_file = self.data_dir.parent / f"ready-{uuid.uuid4().hex}.json"
        words = [str(BINARY), "server", "--data-dir", str(self.data_dir), "--http-port", "0",
                 "--grpc-port", "0", "--s3-port", "0", "--mlmd-port", "0",
                 "--ready-file", str(ready_file)]
        if self.isolation:
            words += ["--isolation", self.isolation]
        self.log = open(self.data_dir.parent / "server.log", "ab")
        self.process = subprocess.Popen([*words, *self.flags], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=self.env)
        return ready_file

    def start(self, timeout=20):
        ready_file = self.spawn()
        wait_until(lambda: ready_file.exists() or self.process.poll() is not None, timeout,
                   f"ready file; log:\n{self.log_text()}", every=0.005)
        if not ready_file.exists():
            raise RuntimeError(f"server ended with {self.process.returncode}:\n{self.log_text()}")
        self.ready = json.loads(ready_file.read_text())
        self.url = f"http://{self.ready['http']}"
        return self

    def log_text(self):
        return _read(self.data_dir.parent / "server.log").decode(errors="replace")[-4000:]

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=15):
        """SIGTERM, and the exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise AssertionError(f"server did not stop within {timeout} s of SIGTERM") from None
        return self.process.returncode if self.process else None

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Stops the server; fails when that was not clean or a step stays behind. The supervisor may
        still take some seconds to notice that nobody needs it: `leftovers_of_all` looks again."""
        code = self.stop()
        steps = steps_of(self.data_dir)
        ended.append(self)
        assert code in (0, None, -signal.SIGKILL), f"server ended with {code}:\n{self.log_text()}"
        for pid in steps:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not steps, f"steps were left behind: {steps}\n{self.log_text()}"

    def end_leftovers(self, grace=10):
        """Waits for what belongs to the data directory to go; kills and returns what does not."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not processes_of(self.data_dir), grace, "end")
        left = processes_of(self.data_dir)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    # What the tests ask for over HTTP.

    def call(self, method, path, body=None, **query):
        """The answer to one request; paths without /apis are v2beta1's."""
        path = path if path.startswith("/apis") or path == "/nosuch" else V2 + path
        return requests.request(method, self.url + path, json=body, params=query, timeout=60)

    def get(self, path, **query):
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path, body=None, **query):
        answer = self.call("POST", path, body, **query)
        assert answer.status_code == 200, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def create_run(self, spec, params=None, name="run", **fields):
        body = {"display_name": name, "pipeline_spec": spec, **fields}
        if params is not None:
            body["runtime_config"] = {"parameters": params}
        return self.post("/runs", body)["run_id"]

    def report(self, run_id):
        return self.get(f"/apis/caudal/v1/runs/{run_id}")

    def wait(self, run_id, timeout=60):
        """The report of a run once it is final."""
        def final():
            report = self.report(run_id)
            return report if report.get("state") in FINAL else None
        return wait_until(final, timeout, f"final state of run {run_id}", every=0.05)

    def run(self, spec, params=None, timeout=60, **fields):
        return self.wait(self.create_run(spec, params, **fields), timeout)

    def task(self, report, path):
        for task in report.get("tasks", []):
            if task.get("path", "") == path:
                return task
        raise AssertionError(f"no task '{path}' in {[t.get('path') for t in report['tasks']]}")

    def log_of(self, report, path, **query):
        task_id = self.task(report, path)["task_id"]
        answer = self.call("GET", f"/apis/v1alpha1/runs/{report['run_id']}/nodes/{task_id}/log",
                           **query)
        assert answer.status_code == 200, f"log of {path}: {answer.status_code} {answer.text}"
        return answer.text
