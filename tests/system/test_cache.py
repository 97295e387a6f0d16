"""The task cache: what is used again, what is not and why, and who decides."""

import json
import pathlib
import shutil
import time

import pytest

from harness import caudal, report_of, wait_until
from ir import artifact_path, given, loop, output_file, param, pipeline, shell, step, write


def cached(spec):
    """The pipeline with caching switched on for every task."""
    for dag in [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]:
        for task in dag["tasks"].values():
            task["cachingOptions"] = {"enableCache": True}
    return spec


def doubling(name, number, more=""):
    """Writes a number down, and its double."""
    return cached(pipeline(name, {"double": step(
        shell('printf %s "$0" > "$1"; printf %s "$0$0" > "$2"' + more, param("number"),
              artifact_path("note"), output_file("twice")),
        params={"number": number}, out={"twice": "STRING"}, out_artifacts={"note": "system.Artifact"})}))


@pytest.fixture
def run(server, tmp_path):
    """`caudal run --json` and the object it prints."""
    def do(spec, *flags):
        file = write(tmp_path / "pipeline.yaml", spec)
        done = caudal("run", file, "--data-dir", server.data_dir, "--json", *flags)
        assert done.returncode == 0, done.stderr
        return report_of(done)
    return do


@pytest.fixture
def explain(server):
    def do(run_id, task):
        done = caudal("run", "explain", run_id, task, "--data-dir", server.data_dir, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["tasks"][0]
    return do


def ids(server, run_id):
    """Artifacts of the run's first task, as upstream's API names them."""
    return server.get(f"/runs/{run_id}")["run_details"]["task_details"][0]["outputs"]


# row: E165
def test_the_second_run_uses_the_outputs_of_the_first(server, run, explain, unique):
    first = run(doubling(unique, 21))
    second = run(doubling(unique, 21))
    task = second["tasks"][0]
    assert first["tasks"][0]["cached_from"] is None and first["tasks"][0]["state"] == "SUCCEEDED"
    assert task["state"] == "CACHED" and task["attempts"] == 0
    assert task["cached_from"] == {"run_id": first["run_id"], "task_id": first["tasks"][0]["task_id"]}
    assert task["outputs"] == {"twice": "2121"}
    assert ids(server, first["run_id"]) == ids(server, second["run_id"])
    why = explain(second["run_id"], "double")
    assert why["cache"] == f"hit: outputs of run {first['run_id']}"
    assert why["cached_from_run_id"] == first["run_id"]
    # As upstream's clients see it.
    details = server.get(f"/runs/{second['run_id']}")["run_details"]["task_details"]
    assert [task["state"] for task in details] == ["SUCCEEDED"]
    shown = caudal("run", "show", second["run_id"], "--data-dir", server.data_dir).stdout
    assert f"cached from {first['run_id'][:8]}" in shown


# row: E167 E168
def test_a_miss_says_which_part_differs(run, explain, unique):
    first = run(doubling(unique, 21))
    again = run(doubling(unique, 22))
    assert again["tasks"][0]["state"] == "SUCCEEDED"
    why = explain(again["run_id"], "double")["cache"]
    assert why.startswith("miss: ") and "'number'" in why and "22" in why, why
    changed = run(doubling(unique, 21, "; true"))
    assert "command" in explain(changed["run_id"], "double")["cache"]
    assert first["tasks"][0]["outputs"] == changed["tasks"][0]["outputs"]


# row: E169
def test_variables_and_resources_do_not_matter(run, unique):
    spec = doubling(unique, 21)
    run(spec)
    container = spec["deploymentSpec"]["executors"]["exec-double"]["container"]
    container["env"] = [{"name": "COLOR", "value": "red"}]
    container["resources"]["resourceCpuRequest"] = "200m"
    assert run(spec)["tasks"][0]["state"] == "CACHED"


# row: E171
def test_a_key_of_ones_own(run, unique):
    for number, state in ((21, "SUCCEEDED"), (22, "CACHED")):
        spec = doubling(unique, number)
        spec["root"]["dag"]["tasks"]["double"]["cachingOptions"]["cacheKey"] = "mine"
        assert run(spec)["tasks"][0]["state"] == state


# row: E180
def test_the_time_of_creation_is_never_the_same(run, unique):
    for _ in range(2):
        spec = doubling(unique, "{{$.pipeline_job_create_time_utc}}")
        assert run(spec)["tasks"][0]["state"] == "SUCCEEDED"
        begin = int(time.time())  # the placeholder has whole seconds
        wait_until(lambda: int(time.time()) > begin, 5, "next second")


# row: E166
def test_caching_switched_off(run, explain, unique):
    spec = doubling(unique, 21)
    run(spec)
    spec["root"]["dag"]["tasks"]["double"]["cachingOptions"] = {}
    off = run(spec)
    assert off["tasks"][0]["state"] == "SUCCEEDED"
    assert explain(off["run_id"], "double")["cache"].startswith("off: the pipeline")
    flagged = run(doubling(unique, 21), "--no-cache")
    assert flagged["tasks"][0]["state"] == "SUCCEEDED"
    assert explain(flagged["run_id"], "double")["cache"] == "off: the run was started with --no-cache"


# row: E178
def test_a_server_that_never_looks_up(fresh, unique):
    server = fresh(flags=["--no-cache"]).start()
    for _ in range(2):
        report = server.run(doubling(unique, 21))
        assert server.task(report, "double")["state"] == "SUCCEEDED"


# row: E173
def test_another_pipeline_has_another_cache(run, unique):
    run(doubling(unique, 21))
    assert run(doubling(unique + "-b", 21))["tasks"][0]["state"] == "SUCCEEDED"


# row: E174
def test_a_failed_task_makes_no_entry(server, unique):
    spec = cached(pipeline(unique, {"fail": step(shell("exit 3"))}))
    for _ in range(2):
        assert server.task(server.run(spec), "fail")["state"] == "FAILED"
    assert entries(server, unique) == []


def entries(server, pipeline_name):
    done = caudal("cache", "list", "--pipeline", pipeline_name, "--all", "--data-dir",
                  server.data_dir, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_evict_and_pin(server, run, unique):
    run(doubling(unique, 21))
    run(doubling(unique, 22))
    target = ["--data-dir", server.data_dir]
    newest, oldest = entries(server, unique)
    shown = json.loads(caudal("cache", "show", oldest["id"], *target, "-o", "json").stdout)
    assert any("number" in part["name"] for part in shown["parts"])
    assert caudal("cache", "pin", oldest["id"], *target).returncode == 0
    refused = caudal("cache", "evict", "--pipeline", unique, *target)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    done = caudal("cache", "evict", "--pipeline", unique, "--yes", *target)
    assert done.stdout == "evicted 1 entry\n", done.stderr
    assert [entry["id"] for entry in entries(server, unique)] == [oldest["id"]]
    assert run(doubling(unique, 21))["tasks"][0]["state"] == "CACHED"
    assert run(doubling(unique, 22))["tasks"][0]["state"] == "SUCCEEDED"
    assert caudal("cache", "pin", oldest["id"], "--unpin", *target).returncode == 0
    assert caudal("cache", "evict", oldest["id"], "--yes", *target).returncode == 0
    assert run(doubling(unique, 21))["tasks"][0]["state"] == "SUCCEEDED"
    gone = caudal("cache", "show", oldest["id"], *target)
    assert gone.returncode == 2 and oldest["id"] in gone.stderr


# row: E177
def test_outputs_that_are_gone_are_made_again(server, run, unique):
    first = run(doubling(unique, 21))
    path = first["tasks"][0]["artifacts"]["note"][0]["path"]
    folder = pathlib.Path(path)
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    again = run(doubling(unique, 21))
    assert again["tasks"][0]["state"] == "SUCCEEDED" and again["tasks"][0]["attempts"] == 1


# row: E179
def test_cached_steps_in_a_loop(run, unique):
    spec = looping(unique)
    run(spec)
    second = run(spec)
    states = {task["path"]: task["state"] for task in second["tasks"]}
    assert states == {"loop": "SUCCEEDED", "loop[0]": "SUCCEEDED", "loop[0]/one": "CACHED",
                      "loop[1]": "SUCCEEDED", "loop[1]/one": "CACHED"}


def looping(name):
    return cached(pipeline(name, {"loop": loop(
        {"one": step(shell('printf %s "$0"', param("item")), params={"item": given("item")},
                     types={"item": "STRING"})}, ["a", "b"])}))
