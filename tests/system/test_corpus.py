"""Compiled pipelines from the SDK's own test data, with their measured outcome, through both doors.

The corpus lies beside the project on machines that have it; elsewhere these tests skip.
"""

import collections
import concurrent.futures
import contextlib
import json
import math
import pathlib
import tempfile
import threading

import pytest
import yaml
from google.protobuf import json_format

from harness import FINAL, ROOT, Server, caudal, new_data_dir, report_of, see, wait_until
from installers import InstallerWatch

CORPUS = next((folder for folder in (ROOT.parent / "shared" / "corpus", ROOT / ".cache" / "corpus")
               if (folder / "expected.json").exists()), None)
TABLE = ROOT / ".cache" / "corpus_table.md"

# Not the kfp that any pipeline of the corpus pins.
OTHER_KFP = "kfp==2.17.0"

def load():
    if CORPUS is None:
        return {}
    return json.loads((CORPUS / "expected.json").read_text())


# Its container takes the place of gs:// for the folder /gcs: with a root elsewhere it cannot work.
WANTS_GCS = "artifacts_simple.yaml"


def cases():
    """(id, file, case): the main case of each pipeline, and those of `more_cases` that need neither
    secrets nor another SDK version: these have tests of their own."""
    for file, entry in load().items():
        if file == WANTS_GCS:
            continue
        yield f"{pathlib.Path(file).stem}-0", file, entry
        for number, more in enumerate(entry.get("more_cases") or [], 1):
            if more.get("secrets") or more.get("substitute_kfp_version"):
                continue
            yield f"{pathlib.Path(file).stem}-{number}", file, more


CASES = {name: (file, case) for name, file, case in cases()}
MAIN_CASES = [name for name in CASES if name.endswith("-0")]
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not on this machine")
rows, rows_lock = {}, threading.Lock()


def arguments_of(case, folder):
    text = json.dumps(case.get("arguments") or {})
    if "${TMP}" in text:
        folder.mkdir(mode=0o777, exist_ok=True)
        folder.chmod(0o777)  # steps of a sandbox are somebody else
    return json.loads(text.replace("${TMP}", str(folder)))


class Doors:
    """Runs every case once per door in the background and hands out the outcomes."""

    def __init__(self, server, client, folder):
        self.server, self.client, self.folder = server, client, folder
        folder.chmod(0o755)
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.futures = {}
        # Without a private /tmp two runs of one pipeline share the literal paths that it names.
        self.alone = collections.defaultdict(
            contextlib.nullcontext if server.isolation == "sandbox" else threading.Lock)

    def start(self, wanted):
        for name, door in wanted:
            self.futures[name, door] = self.pool.submit(self.run, name, door)

    def run(self, name, door):
        with self.alone[CASES[name][0]]:
            return getattr(self, door)(name)

    def outcome(self, name, door):
        if (name, door) not in self.futures:
            self.start([(name, door)])
        return self.futures[name, door].result(timeout=220)

    def cli(self, name):
        file, case = CASES[name]
        params = self.folder / f"{name}.json"
        params.write_text(json.dumps(arguments_of(case, self.folder / name)))
        done = caudal("run", CORPUS / "pipelines" / file, "--params", params, "--server",
                      self.server.url, "--json", "--no-cache", timeout=200)
        if done.returncode == 2:
            assert done.stderr.strip(), "refused without a word"
            return {"state": "REJECTED"}
        report = report_of(done)
        assert done.returncode == (0 if report["state"] == "SUCCEEDED" else 1), done.stderr
        return report

    def sdk(self, name):
        import kfp_server_api
        file, case = CASES[name]
        try:
            run = self.client.create_run_from_pipeline_package(
                str(CORPUS / "pipelines" / file), arguments_of(case, self.folder / f"sdk-{name}"),
                run_name=name, enable_caching=False)
        except kfp_server_api.ApiException as fault:
            assert fault.status == 400 and fault.body
            return {"state": "REJECTED"}
        except (json_format.ParseError, ValueError, yaml.YAMLError) as fault:  # the SDK refused it
            return {"state": "REJECTED", "by": str(fault)}
        final = wait_until(
            lambda: (lambda r: r if r.state in FINAL else None)(self.client.get_run(run.run_id)),
            200, f"final state of {name}", every=0.2)
        report = self.server.report(run.run_id)
        assert final.state == report["state"]
        return report


@pytest.fixture(scope="module")
def doors(server, client_of, shared_dir):
    folder = pathlib.Path(tempfile.mkdtemp(dir=shared_dir))  # steps see and may write it
    made = Doors(server, client_of(server), folder)
    made.start([(name, door) for name in CASES for door in ("cli", "sdk")])
    yield made
    made.pool.shutdown(cancel_futures=True)


def note(isolation, name, door, result):
    with rows_lock:
        rows[name, isolation, door] = result


@pytest.fixture(scope="module", autouse=True)
def table():
    """The outcome of every case as a table, for people."""
    yield
    columns = [(i, d) for i in ("process", "sandbox") for d in ("cli", "sdk")]
    lines = ["| pipeline | " + " | ".join(f"{i}, {d}" for i, d in columns) + " |",
             "|---" * (len(columns) + 1) + "|"]
    for name in sorted({key[0] for key in rows}):
        cells = [rows.get((name, i, d), "–") for i, d in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n")


def same(got, want):
    """Equal, with numbers compared as numbers and `any_of` as alternatives."""
    if isinstance(want, dict) and set(want) == {"any_of"}:
        return any(same(got, each) for each in want["any_of"])
    if isinstance(want, bool) or isinstance(got, bool):
        return got is want
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(got, want, rel_tol=1e-9)
    if isinstance(want, dict) and isinstance(got, dict):
        return set(got) == set(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(got) == len(want) and all(map(same, got, want))
    return got == want


def artifacts_of(task, name):
    found = (task.get("artifacts") or {}).get(name)
    return found["artifacts"] if isinstance(found, dict) else found  # REST wraps lists, --json not


def check_artifact(where, got, want):
    if "type" in want:
        assert got["type"] == want["type"], where
    if "uri" in want:
        assert got["uri"] == want["uri"], where
    for key, value in (want.get("metadata") or {}).items():
        assert same((got.get("metadata") or {}).get(key), value), f"{where}: metadata {key}: {got}"
    if "text" in want:
        assert pathlib.Path(got["path"]).read_text() == want["text"], where
    if "files" in want:
        assert sorted(p.name for p in pathlib.Path(got["path"]).iterdir()) == want["files"], where


def logs_of_failed(report):
    """The end of each failed step's log, for the message of a failing test."""
    logs = [log["path"] for task in report.get("tasks", []) if task["state"] == "FAILED"
            for log in artifacts_of(task, "executor-logs") or [] if log.get("path")]
    return "".join(f"\n{path}:\n{pathlib.Path(path).read_text()[-3000:]}" for path in logs)


def check(server, report, case):
    """Compares a report with what the corpus expects of the case."""
    told = json.dumps(report, indent=1)[:6000]
    assert report["state"] == case["state"], told + logs_of_failed(report)
    if case["state"] == "REJECTED":
        return
    tasks = {task.get("path", ""): task for task in report["tasks"]}
    for path, state in (case.get("tasks") or {}).items():
        assert path in tasks, f"no task {path}: {told}"
        # The SDK's switch for the cache reaches the outermost tasks only.
        got = "SUCCEEDED" if tasks[path]["state"] == "CACHED" else tasks[path]["state"]
        assert got == state, f"{path}: {told}"
    for group in case.get("exactly_one_succeeded") or []:
        ran = [path for path in group if path in tasks and tasks[path]["state"] != "OMITTED"]
        won = [path for path in ran if tasks[path]["state"] == "SUCCEEDED"]
        assert len(won) == (1 if ran else 0), f"of {group}: {told}"
    for path, count in (case.get("attempts") or {}).items():
        assert tasks[path]["attempts"] == count, f"{path}: {told}"
    for path, outputs in (case.get("outputs") or {}).items():
        for name, value in outputs.items():
            got = (tasks[path].get("outputs") or {}).get(name)
            assert same(got, value), f"{path}.{name}: got {got!r}, want {value!r}"
    for name, value in (case.get("pipeline_outputs") or {}).items():
        got = (report.get("outputs") or {}).get(name)
        assert same(got, value), f"output {name}: got {got!r}, want {value!r}"
    for path, artifacts in (case.get("artifacts") or {}).items():
        for name, want in artifacts.items():
            found = artifacts_of(tasks[path], name)
            assert found, f"{path} has no artifact {name}: {told}"
            check_artifact(f"{path}.{name}", found[0], want)
    if case["state"] == "SUCCEEDED":
        for path, text in (case.get("logs") or {}).items():
            if tasks[path]["state"] == "CACHED":
                continue  # nothing of it has run
            assert server.log_of(report, path) == text, f"log of {path}"


# row: E23 E25 E35-E37 E41-E44 E46 E47 E53 E57 E63 E69 E75 E150 E190-E193 E195 E197 E201 E205 E212
# row: E214-E216 E219-E222 E77-E80 E92 E93 E98 E107-E110 E117 E119 E122-E126 E130-E132 E138 E139 E141
# row: E143 E152 E182 E185 E186 E218 E223 E224
@needs_corpus
@pytest.mark.parametrize("door", ["cli", "sdk"])
@pytest.mark.parametrize("name", CASES or ["none"])
def test_case(server, doors, name, door):
    note(server.isolation, name, door, "WRONG")
    report = doors.outcome(name, door)
    check(server, report, CASES[name][1])
    note(server.isolation, name, door, report["state"])


# The last test of a server: all that its steps ask for has been built by then.
@needs_corpus
@pytest.mark.timeout(600)
def test_second_runs_make_no_pip_process(server, doors):
    first = {name: doors.outcome(name, "cli") for name in MAIN_CASES}
    environments = sorted(server.data_dir.glob("envs/*"))
    assert environments, "the first runs have built nothing"
    with InstallerWatch(server.data_dir) as watch:
        done = doors.pool.map(doors.cli, MAIN_CASES)
        second = dict(zip(MAIN_CASES, done))
    assert watch.count == 0, f"{watch.count} processes installed packages: {watch.seen}"
    assert sorted(server.data_dir.glob("envs/*")) == environments
    assert {name: report["state"] for name, report in second.items()} == {
        name: report["state"] for name, report in first.items()}


@pytest.fixture(scope="module")
def other_kfp_data_dir():
    """One for both isolations, so that each environment is built once."""
    return new_data_dir()


@pytest.fixture(scope="module", params=["sandbox", "process"])
def other_kfp(request, other_kfp_data_dir, client_of, shared_dir):
    """The corpus behind a server that puts another kfp in the place of the pinned one."""
    server = Server(other_kfp_data_dir, request.param,
                    flags=["--kfp-package", OTHER_KFP, *see(shared_dir)])
    folder = pathlib.Path(tempfile.mkdtemp(dir=shared_dir))
    with InstallerWatch(other_kfp_data_dir) as watch:
        made = Doors(server.start(), client_of(server), folder)
        made.start([(name, "cli") for name in MAIN_CASES])
        made.watch = watch
        yield made
        made.pool.shutdown(cancel_futures=True)
    server.close()


def with_another_kfp(name):
    """What is expected then: of a pipeline whose pin is too old for its own code, something else."""
    file, case = CASES[name]
    return next((more for more in load()[file].get("more_cases") or []
                 if more.get("substitute_kfp_version")), case)


@needs_corpus
@pytest.mark.parametrize("name", MAIN_CASES or ["none"])
def test_case_with_another_kfp(other_kfp, name):
    # row: E208
    check(other_kfp.server, other_kfp.outcome(name, "cli"), with_another_kfp(name))


@needs_corpus
def test_installers_are_counted(other_kfp):
    """The count that must be nothing in second runs is something in first ones."""
    other_kfp.outcome(MAIN_CASES[-1], "cli")
    if other_kfp.server.isolation == "sandbox":  # the first of the two
        assert other_kfp.watch.count > 0
    else:
        assert other_kfp.watch.count == 0, other_kfp.watch.seen


@pytest.fixture(scope="module")
def plain_server():
    server = Server().start()
    yield server
    server.close()


@needs_corpus
def test_another_kfp_than_the_pinned_one(fresh):
    """`--kfp-package` is for pipelines whose pin is too old for their own code."""
    # row: E208
    cases = [(file, more) for file, entry in load().items() for more in entry.get("more_cases") or []
             if more.get("substitute_kfp_version")]
    assert cases
    for file, case in cases:
        server = fresh(flags=["--kfp-package", f"kfp=={case['substitute_kfp_version']}"]).start()
        done = caudal("run", CORPUS / "pipelines" / file, "--server", server.url, "--json",
                      timeout=200)
        check(server, report_of(done), case)


@needs_corpus
def test_secrets_of_the_corpus(fresh):
    """Cases that need secrets find them in the store of the data directory."""
    # row: E229 E244
    cases = [(file, more) for file, entry in load().items() for more in entry.get("more_cases") or []
             if more.get("secrets")]
    assert cases
    for file, case in cases:
        server = fresh().start()
        for name, keys in case["secrets"].items():
            words = [f"{key}={value}" for key, value in keys.items()]
            done = caudal("secret", "set", name, *words, "--server", server.url)
            assert done.returncode == 0, done.stderr
        done = caudal("run", CORPUS / "pipelines" / file, "--server", server.url, "--json",
                      timeout=200)
        check(server, report_of(done), case)


@needs_corpus
def test_nested_collected_lists_can_be_flat(fresh):
    """`--flatten-collected` gives what upstream's backend gives."""
    # row: E132
    cases = [(file, entry) for file, entry in load().items()
             if entry.get("with_flat_collected_lists")]
    assert cases
    server = fresh(flags=["--flatten-collected"]).start()
    for file, entry in cases:
        done = caudal("run", CORPUS / "pipelines" / file, "--server", server.url, "--json",
                      timeout=200)
        check(server, report_of(done), entry["with_flat_collected_lists"])


@needs_corpus
def test_a_container_that_reads_below_gcs(server, client_of):
    # row: E131 E192
    run = client_of(server).create_run_from_pipeline_package(
        str(CORPUS / "pipelines" / WANTS_GCS), {}, pipeline_root="gs://bucket/root",
        enable_caching=False)
    report = server.wait(run.run_id, timeout=200)
    if server.isolation == "sandbox":
        check(server, report, load()[WANTS_GCS])
    else:
        assert "names '/gcs/', which does not exist in process isolation" in str(report["error"])
