"""The engine against an independent reference on random pipelines (README.md says how).

CAUDAL_DIFFERENTIAL_SEEDS  how many pipelines (default 300)
CAUDAL_DIFFERENTIAL_SEED   the first one (default 1); a failure names the one to repeat
CAUDAL_ENGINE_PLAY         the engine's side (default: that of build/dev)
"""

import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from generator import generate, outcome_of  # noqa: E402
from reference import FAILED, OMITTED, SKIPPED, SUCCEEDED, interpret, upstream  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("CAUDAL_ENGINE_PLAY",
                                      HERE.parent.parent / "build/dev/tests/engine_play"))
FIRST = int(os.environ.get("CAUDAL_DIFFERENTIAL_SEED", "1"))
COUNT = int(os.environ.get("CAUDAL_DIFFERENTIAL_SEEDS", "300"))
SHARDS = 10
MAX_TASKS = 90  # of a run; larger ones take too long
SHRINKING_SECONDS = 15
LAST_EVENT = 40  # a run that is terminated is so after at most so many events


class Engine:
    """engine_play as a filter."""

    def __init__(self):
        self.process = None

    def play(self, task):
        if self.process is None:
            self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True)
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        error = self.process.communicate()[1]
        self.process = None
        return {"generations": [], "violations": ["engine_play died: " + error[-3000:]]}

    def close(self):
        if self.process is not None:
            self.process.communicate()


def never_fails(outcome):
    return lambda path, component: {**outcome(path, component), "fails": 0}


def comparable(value):
    """A value without what the reference does not know: the words of an error."""
    if isinstance(value, dict):
        if "pipelineTaskName" in value:
            value = {**value, "error": bool(value["error"])}
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value


FIELDS = ("state", "attempts", "inputs", "input_artifacts", "outputs", "artifacts")


def differences(wanted, got, fields):
    found = []
    for part in ("state", "outputs", "artifacts"):
        if comparable(wanted[part]) != comparable(got[part]):
            found.append(f"run: {part} wanted {wanted[part]}, got {got[part]}")
    # A group that ran in one generation and not in the next keeps what it had, for the record.
    past = [path + "/" for path, task in wanted["tasks"].items() if task["state"] in (SKIPPED, OMITTED)]
    for path in sorted(wanted["tasks"].keys() | got["tasks"].keys()):
        if path not in wanted["tasks"] and path.startswith(tuple(past)):
            continue
        want, have = wanted["tasks"].get(path), got["tasks"].get(path)
        if want is None or have is None:
            found.append(f"{path}: {'not wanted' if want is None else 'missing'}")
            continue
        for field in fields:
            # Groups are compared by what they give on.
            if field in want and comparable(want[field]) != comparable(have[field]):
                found.append(f"{path}: {field} wanted {want[field]}, got {have[field]}"
                             f" ({have['reason']})")
    return found


def redone_for_nothing(spec, before, launched):
    """Steps that had succeeded and ran again in the next generation, although nothing above them was
    redone."""
    return [path for path in launched
            if before.get(path, {}).get("state") == SUCCEEDED and not follows_redone(spec, before, path)]


def follows_redone(spec, before, path):
    dag, folder = spec["root"]["dag"], ""
    for part in path.split("/"):
        key = part.split("[")[0]
        tasks = dag["tasks"]
        waiting, seen = [key], set()
        while waiting:
            for name in upstream(tasks[waiting.pop()]) - seen:
                seen.add(name)
                waiting.append(name)
                if before[folder + name]["state"] not in (SUCCEEDED, SKIPPED):
                    return True
        folder += part + "/"
        dag = spec["components"][tasks[key]["componentRef"]["name"]].get("dag")
    return False


def play(engine, seed, spec, parameters):
    """What is wrong with this pipeline: a list of texts, or None when it is not to be run."""
    outcome = outcome_of(seed)
    wanted, does = interpret(spec, parameters, outcome)
    again, does_again = interpret(spec, parameters, never_fails(outcome))
    if len(wanted["tasks"]) + len(again["tasks"]) > 2 * MAX_TASKS:
        return None
    terminates = seed % 5 == 0
    got = engine.play({
        "pipeline": spec, "parameters": parameters, "seed": seed, "chaos": seed % 2 == 0,
        "terminate_after": random.Random(seed).randrange(1, LAST_EVENT) if terminates else -1,
        "generations": [{**does_again, **does}, does_again]})
    if "refused" in got:
        return [f"refused: {got['refused']}"]
    found = list(got["violations"])
    generations = got["generations"]
    if not generations:
        return found
    first = generations[0]
    if first["state"] != "CANCELED" and not terminates:
        found += differences(wanted, first, FIELDS)
    if len(generations) > 1:
        found += ["again: " + text for text in
                  differences(again, generations[1],
                              [field for field in FIELDS if field != "attempts"])]
        found += [f"again: {path} ran again" for path in
                  redone_for_nothing(spec, first["tasks"], generations[1]["launched"])]
    return found


def smaller(spec):
    """Specs with one thing less, the large things first."""
    paths = [("root",)] + [("components", name) for name in spec["components"]]
    for path in paths:
        component = at(spec, path)
        for key in component.get("dag", {}).get("tasks", {}):
            if len(component["dag"]["tasks"]) > 1:
                yield without(spec, (*path, "dag", "tasks", key))
    for path in paths:
        component = at(spec, path)
        for kind in ("parameters", "artifacts"):
            for name in component.get("dag", {}).get("outputs", {}).get(kind, {}):
                yield without(spec, (*path, "dag", "outputs", kind, name))
        for key, task in component.get("dag", {}).get("tasks", {}).items():
            here = (*path, "dag", "tasks", key)
            for part in ("retryPolicy", "dependentTasks", "iteratorPolicy"):
                if part in task:
                    yield without(spec, (*here, part))
            for kind in ("parameters", "artifacts"):
                for name in task.get("inputs", {}).get(kind, {}):
                    less = without(spec, (*here, "inputs", kind, name))
                    component_path = ("components", task["componentRef"]["name"])
                    declared = at(less, component_path).get("inputDefinitions", {}).get(kind, {})
                    declared.pop(name, None)
                    yield less


def at(spec, path):
    for part in path:
        spec = spec[part]
    return spec


def without(spec, path):
    less = copy.deepcopy(spec)
    del at(less, path[:-1])[path[-1]]
    return less


def tidy(spec):
    """Without components that no task uses."""
    used, waiting = set(), [spec["root"]]
    while waiting:
        for task in waiting.pop().get("dag", {}).get("tasks", {}).values():
            name = task["componentRef"]["name"]
            if name not in used:
                used.add(name)
                waiting.append(spec["components"][name])
    return {**spec, "components": {k: v for k, v in spec["components"].items() if k in used}}


def shrink(engine, seed, spec, parameters):
    """The spec made smaller while the engine still does something wrong."""
    end = time.monotonic() + SHRINKING_SECONDS
    progress = True
    while progress:
        progress = False
        for less in smaller(spec):
            if time.monotonic() > end:
                return spec
            try:
                less = tidy(less)
                found = play(engine, seed, less, parameters)
            except (KeyError, ValueError, IndexError, RecursionError):
                continue  # what is left makes no pipeline
            if found and not found[0].startswith("refused"):
                spec, progress = less, True
                break
    return spec


@pytest.fixture(scope="module")
def engine():
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    made = Engine()
    yield made
    made.close()


def test_the_generator_reaches_every_state():
    """Otherwise the comparison below says little."""
    states, kinds = {}, set()
    for seed in range(300):
        spec, parameters = generate(seed)
        for task in interpret(spec, parameters, outcome_of(seed))[0]["tasks"].values():
            states[task["state"]] = states.get(task["state"], 0) + 1
        text = json.dumps(spec)
        kinds |= {word for word in ("parameterIterator", "artifactIterator", "valueFromOneof",
                                    "ALL_UPSTREAM_TASKS_COMPLETED", "taskFinalStatus", "retryPolicy",
                                    "importer", "isOptional", "parameterExpressionSelector",
                                    "parallelismLimit") if word in text}
    assert len(kinds) == 10, kinds
    assert all(states.get(s, 0) > 50 for s in (SUCCEEDED, FAILED, SKIPPED, OMITTED)), states


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_engine_does_what_the_reference_says(engine, shard):
    refused = played = 0
    for seed in range(FIRST + shard, FIRST + COUNT, SHARDS):
        spec, parameters = generate(seed)
        found = play(engine, seed, spec, parameters)
        if found is None:
            continue
        if found and found[0].startswith("refused"):
            refused += 1
            continue
        played += 1
        if found:
            less = shrink(engine, seed, spec, parameters)
            pytest.fail(f"seed {seed}: {len(found)} differences\n" + "\n".join(found[:20]) +
                        "\n\nsmaller, with the same parameters:\n" +
                        "\n".join(play(engine, seed, less, parameters) or []) + "\n" +
                        json.dumps(less) + "\nparameters: " + json.dumps(parameters),
                        pytrace=False)
    assert refused * 3 <= played, f"{refused} of {refused + played} pipelines were refused"


def test_a_long_loop(engine):
    """row: E129"""
    count = 1100  # more than are open at the same time where no limit is given
    spec = {
        "pipelineInfo": {"name": "test"}, "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {"exec": {"container": {"image": "none", "command": ["true"]}}}},
        "components": {
            "comp-loop": {
                "inputDefinitions": {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}},
                "dag": {"tasks": {"work": {"taskInfo": {"name": "work"},
                                           "componentRef": {"name": "comp-work"}}},
                        "outputs": {"parameters": {"out": {"valueFromParameter": {
                            "producerSubtask": "work", "outputParameterKey": "Output"}}}}},
                "outputDefinitions": {"parameters": {"out": {"parameterType": "LIST"}}}},
            "comp-work": {"executorLabel": "exec", "outputDefinitions": {
                "parameters": {"Output": {"parameterType": "NUMBER_INTEGER"}}}}},
        "root": {"dag": {
            "tasks": {"loop": {"taskInfo": {"name": "loop"}, "componentRef": {"name": "comp-loop"},
                               "parameterIterator": {"itemInput": "item", "items": {
                                   "raw": json.dumps(list(range(count)))}}}},
            "outputs": {"parameters": {"out": {"valueFromParameter": {
                "producerSubtask": "loop", "outputParameterKey": "out"}}}}},
            "outputDefinitions": {"parameters": {"out": {"parameterType": "LIST"}}}}}
    wanted, does = interpret(spec, {}, never_fails(outcome_of(1)))
    got = engine.play({"pipeline": spec, "parameters": {}, "seed": 1, "chaos": False,
                       "terminate_after": -1, "generations": [does]})
    assert got["violations"] == []
    assert differences(wanted, got["generations"][0], FIELDS) == []
    assert len(wanted["outputs"]["out"]) == count
