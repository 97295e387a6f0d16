"""Runs of many tasks: listed whole, page by page, and in the tree as one line."""

import json

import pytest

from harness import caudal
from ir import given, loop, pipeline, shell, step, when

ITERATIONS = 3000


@pytest.fixture(scope="module")
def long_run(server):
    """A loop whose iterations skip what they hold: no process each."""
    inner = when("inputs.parameter_values['item'] == 'x'", {"send": step(shell("true"))},
                 params={"item": given("item")}, types={"item": "STRING"})
    spec = pipeline("long", {"each": loop({"one": inner}, [str(n) for n in range(ITERATIONS)])})
    report = server.run(spec, timeout=120)
    assert report["state"] == "SUCCEEDED", report.get("error")
    return report


def test_is_listed_whole_and_in_order(server, long_run):
    done = caudal("run", "show", long_run["run_id"], "-o", "json", "--data-dir", server.data_dir)
    tasks = json.loads(done.stdout)["tasks"]
    want = ["each"]
    for n in range(ITERATIONS):
        want += [f"each[{n}]", f"each[{n}]/one"]
    assert [task["path"] for task in tasks] == want
    assert [task["path"] for task in long_run["tasks"]] == want
    assert {task["state"] for task in tasks[2::2]} == {"SKIPPED"}


def test_is_one_line_for_people(server, long_run):
    done = caudal("run", "show", long_run["run_id"], "--data-dir", server.data_dir)
    assert f"each  {ITERATIONS}/{ITERATIONS} done" in done.stdout
    assert "each[" not in done.stdout


# row: E253
def test_upstreams_details_are_cut_off(server, long_run):
    details = server.get(f"/runs/{long_run['run_id']}")["run_details"]["task_details"]
    assert len(details) == 5000
    by_id = {task["task_id"]: task for task in details}
    assert len(by_id) == 5000
    each = next(task for task in details if task["display_name"] == "each")
    assert each["state"] == "SUCCEEDED"
    first = by_id[each["child_tasks"][0]["task_id"]]
    assert first["display_name"] == "each[0]" and first["parent_task_id"] == each["task_id"]
    assert by_id[first["child_tasks"][0]["task_id"]]["state"] == "SKIPPED"


def test_one_task_of_many_is_explained(server, long_run):
    done = caudal("run", "explain", long_run["run_id"], "each[2999]/one", "--data-dir",
                  server.data_dir, "-o", "json")
    task, = json.loads(done.stdout)["tasks"]
    assert task["reason"].endswith('is false: item is "2999"'), task
