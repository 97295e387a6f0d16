"""Every example: its YAML is what its Python compiles to, and it does what it promises."""

import ast
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from harness import FINAL, ROOT, caudal, report_of, wait_until

EXAMPLES = ROOT / "examples"
SOURCES = sorted(path.relative_to(EXAMPLES) for path in EXAMPLES.glob("*/*.py"))
MISREAD = "images that were misread"


def artifact(tasks, path, name):
    found = tasks[path]["artifacts"][name]
    found = found["artifacts"] if isinstance(found, dict) else found  # REST wraps lists, --json not
    return found[0]


def text_of(tasks, path, name):
    return pathlib.Path(artifact(tasks, path, name)["path"]).read_text()


def check_hello(outputs, tasks):
    assert outputs == {"Output": "Hello, you!"}


def check_fit_line(outputs, tasks):
    assert outputs["Output"].endswith("on 50 points")
    model = json.loads(text_of(tasks, "fit", "line"))
    assert model["slope"] == pytest.approx(2, abs=0.1)
    assert model["intercept"] == pytest.approx(1, abs=0.5)
    assert artifact(tasks, "make-points", "points")["metadata"]["rows"] == 50
    assert artifact(tasks, "judge", "metrics")["metadata"]["rmse"] == pytest.approx(0.3, abs=0.15)


def check_word_ranks(outputs, tasks):
    assert outputs == {"Output": "the"}
    ranks = text_of(tasks, "rank", "ranks").split()
    assert ranks == ["4", "the", "2", "and"]
    assert text_of(tasks, "split-words", "words").split()[:2] == ["the", "river"]


def check_reading_ease(outputs, tasks):
    assert outputs == {"Output": pytest.approx(10 / 3)}


def check_digits(outputs, tasks):
    assert outputs["best"] in {"random forest", "logistic regression"}
    assert 0.9 < outputs["accuracy"] < 1
    assert tasks["load"]["outputs"]["Output"] == 1797
    for path, kind in (("evaluate", "linear"), ("evaluate-2", "forest")):
        metrics = artifact(tasks, path, "metrics")["metadata"]
        assert metrics["accuracy"] == pytest.approx(tasks[path]["outputs"]["Output"])
        assert 0 < metrics["log_loss"] < 1
        mistakes = artifact(tasks, path, "mistakes")
        assert mistakes["type"] == "system.ClassificationMetrics"
        matrix = mistakes["metadata"]["confusionMatrix"]
        counts = [row["row"] for row in matrix["rows"]]
        assert [each["displayName"] for each in matrix["annotationSpecs"]] == list("0123456789")
        assert sum(map(sum, counts)) == artifact(tasks, "split", "test")["metadata"]["images"]
        right = sum(counts[digit][digit] for digit in range(10))
        assert right / sum(map(sum, counts)) == pytest.approx(metrics["accuracy"])
        curve = mistakes["metadata"]["confidenceMetrics"]
        assert curve[-1]["recall"] == curve[-1]["falsePositiveRate"] == 1
        model = artifact(tasks, f"train-{kind}", "model")
        assert model["type"] == "system.Model" and pathlib.Path(model["path"]).stat().st_size > 1000
    report, summary = text_of(tasks, "compare", "report"), text_of(tasks, "compare", "summary")
    assert report.startswith("<!doctype html>") and MISREAD in report and "<svg" in report
    assert f"**{outputs['best']}**" in summary
    assert artifact(tasks, "compare", "report")["type"] == "system.HTML"
    assert artifact(tasks, "compare", "summary")["type"] == "system.Markdown"


def check_pick_window(outputs, tasks):
    group = "exit-handler-1"
    sensor = tasks[f"{group}/read-sensor"]  # the SDK's switch for the cache does not reach it
    assert sensor["state"] == "CACHED" or sensor["attempts"] == 2
    windows = [tasks[f"{group}/for-loop-2[{i}]/error-of"]["outputs"]["Output"] for i in range(5)]
    assert tasks[f"{group}/best-of"]["outputs"]["Output"]["error"] == min(windows)
    branches = [task for path, task in tasks.items() if path.count("/") == 2
                and path.split("/")[2].startswith("condition-")]
    assert sorted(task["state"] for task in branches) == ["SKIPPED", "SUCCEEDED"]
    assert "more data needed" in tasks[f"{group}/announce"]["outputs"]["Output"]
    assert tasks["write-down"]["state"] == "SUCCEEDED"


# Example (without suffix) -> parameters, what must be true of outputs and tasks, flags of `caudal run`.
CASES = {
    "hello/hello": ({"name": "you"}, check_hello, []),
    "quickstart/fit_line": ({"rows": 50}, check_fit_line, []),
    "shell_steps/word_ranks": ({"top": 2}, check_word_ranks, []),
    "local_code/reading_ease": ({}, check_reading_ease, ["--with", EXAMPLES / "local_code/prose"]),
    "control_flow/pick_window": ({"tolerance": 0.01}, check_pick_window, []),
    "digits/digits": ({"trees": 50}, check_digits, []),
}
# `--with` is a matter between `caudal run` and the server: the SDK has no word for it.
BY_SDK = [name for name, case in CASES.items() if "--with" not in case[2]]


def by_path(report):
    return {task.get("path", ""): task for task in report["tasks"]}


def test_every_example_has_a_case():
    assert sorted(CASES) == [str(source.with_suffix("")) for source in SOURCES
                             if (EXAMPLES / source.with_suffix(".yaml")).exists()]


@pytest.mark.parametrize("name", CASES)
def test_yaml_is_what_the_python_compiles_to(name, tmp_path):
    source = EXAMPLES / f"{name}.py"
    copy = tmp_path / source.name
    shutil.copy(source, copy)
    subprocess.run([sys.executable, str(copy)], check=True, timeout=60)
    assert copy.with_suffix(".yaml").read_text() == source.with_suffix(".yaml").read_text(), (
        f"compile it again: .cache/pyenv/bin/python examples/{name}.py")


@pytest.mark.parametrize("name", CASES)
def test_says_what_it_is_for(name):
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text()))
    assert text and len(text.splitlines()) >= 3


@pytest.mark.parametrize("name", CASES)
def test_by_command_line(server, name):
    params, check, flags = CASES[name]
    words = [word for key, value in params.items() for word in ("-p", f"{key}={value}")]
    done = caudal("run", EXAMPLES / f"{name}.yaml", *words, *flags, "--server", server.url,
                  "--no-cache", "--json", timeout=220)
    report = report_of(done)
    assert done.returncode == 0, f"{report}\n{done.stderr}"
    check(report["outputs"], by_path(report))


@pytest.mark.parametrize("name", BY_SDK)
def test_by_sdk(server, client_of, name):
    params, check, _ = CASES[name]
    client = client_of(server)
    run = client.create_run_from_pipeline_package(str(EXAMPLES / f"{name}.yaml"), params,
                                                  enable_caching=False)
    final = wait_until(lambda: (lambda r: r if r.state in FINAL else None)(client.get_run(run.run_id)),
                       220, f"end of {name}", every=0.2)
    report = server.report(run.run_id)
    assert final.state == "SUCCEEDED", report
    check(report.get("outputs") or {}, by_path(report))
