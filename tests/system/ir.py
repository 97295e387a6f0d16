"""Pipelines written by hand: a few lines of Python to the compiled form (IR) of container steps.

    pipeline("two", {
        "first": step(shell("echo hi > {out:text}"), out={"text": "STRING"}),
        "second": step(shell("cat"), params={"text": output("first", "text")}),
    })
"""

import json

SCHEMA = "2.1.0"


def output(task, key):
    """A value that an upstream task produces."""
    return {"from": task, "key": key}


def given(name):
    """A value from the enclosing pipeline's inputs."""
    return {"input": name}


def step(command, *, args=(), params=None, artifacts=None, out=None, out_artifacts=None,
         after=(), env=None, cpu="100m", types=None, image="alpine:3", memory=None):
    """One container task. `params` values are constants, `output(…)` or `given(…)`; `out` maps
    output parameters to types; `out_artifacts` maps output artifacts to schema titles."""
    return {"command": list(command), "args": list(args), "params": params or {},
            "artifacts": artifacts or {}, "out": out or {}, "out_artifacts": out_artifacts or {},
            "after": list(after), "env": env or {}, "cpu": cpu, "memory": memory,
            "types": types or {}, "image": image}


def shell(script, *words):
    """`sh -c`; further words are $0, $1, …"""
    return ["sh", "-c", script, *words]


def param(name):
    return "{{$.inputs.parameters['%s']}}" % name


def output_file(name):
    return "{{$.outputs.parameters['%s'].output_file}}" % name


def artifact_path(name):
    return "{{$.outputs.artifacts['%s'].path}}" % name


def input_path(name):
    return "{{$.inputs.artifacts['%s'].path}}" % name


def pipeline(name, steps, *, inputs=None, outputs=None):
    """The IR of a pipeline. `inputs` maps names to (type, default) or to a type; `outputs` maps
    names to (task, key)."""
    components, executors = {}, {}
    root = {"dag": _dag(steps, outputs, components, executors)}
    if inputs:
        root["inputDefinitions"] = {"parameters": {n: _input(t) for n, t in inputs.items()}}
    if outputs:
        root["outputDefinitions"] = _output_definitions(steps, outputs)
    return {"components": components, "deploymentSpec": {"executors": executors},
            "pipelineInfo": {"name": name}, "root": root, "schemaVersion": SCHEMA,
            "sdkVersion": "kfp-2.17.0"}


def group(steps, *, params=None, types=None, outputs=None, after=()):
    """A sub-pipeline as one task: its steps take `params` by `given(…)`, and `outputs` maps names to
    (task, key) inside. Names of steps are unique in the whole pipeline."""
    return {"steps": steps, "params": params or {}, "artifacts": {}, "types": types or {},
            "outputs": outputs or {}, "after": list(after),
            "out": {n: steps[task]["out"][key] for n, (task, key) in (outputs or {}).items()}}


def loop(steps, items, *, item="item", kind="STRING", parallelism=0, **more):
    """A `group` done once for each of some constants, which its steps take by `given(item)`."""
    return {**group(steps, **more), "loop": {"item": item, "kind": kind, "items": items,
                                             "parallelism": parallelism}}


def when(condition, steps, *, params, **more):
    """A `group` that is done where a CEL expression over its own inputs is true."""
    return {**group(steps, params=params, **more), "condition": condition}


def retried(spec, count, delay="0s", factor=1):
    """The task with a retry policy."""
    return {**spec, "retry": {"maxRetryCount": count, "backoffDuration": delay,
                              "backoffFactor": factor, "backoffMaxDuration": "3600s"}}


def write(path, spec):
    """Puts the IR into a file (JSON is YAML) and returns the path."""
    path.write_text(json.dumps(spec, indent=1))
    return path


def _dag(steps, outputs, components, executors):
    """The graph of some steps; their components and executors go into the two dicts."""
    for key, spec in steps.items():
        components[f"comp-{key}"] = component = _component(key, spec)
        if "steps" in spec:
            component.pop("executorLabel")
            component["dag"] = _dag(spec["steps"], spec["outputs"], components, executors)
        else:
            executors[f"exec-{key}"] = {"container": _container(spec)}
    dag = {"tasks": {key: _task(key, spec) for key, spec in steps.items()}}
    if outputs:
        dag["outputs"] = {"parameters": {
            n: {"valueFromParameter": {"producerSubtask": task, "outputParameterKey": key}}
            for n, (task, key) in outputs.items()}}
    return dag


def _output_definitions(steps, outputs):
    return {"parameters": {n: {"parameterType": steps[task]["out"][key]}
                           for n, (task, key) in outputs.items()}}


def _input(kind):
    if isinstance(kind, str):
        return {"parameterType": kind}
    kind, default = kind
    return {"parameterType": kind, "isOptional": True, "defaultValue": default}


def _type_of(value):
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "NUMBER_INTEGER"
    if isinstance(value, float):
        return "NUMBER_DOUBLE"
    if isinstance(value, list):
        return "LIST"
    if isinstance(value, dict) and "from" not in value and "input" not in value:
        return "STRUCT"
    return "STRING"


def _source(value):
    if isinstance(value, dict) and "from" in value:
        return {"taskOutputParameter": {"producerTask": value["from"],
                                        "outputParameterKey": value["key"]}}
    if isinstance(value, dict) and "input" in value:
        return {"componentInputParameter": value["input"]}
    return {"runtimeValue": {"constant": value}}


def _artifact_type(title):
    return {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}


def _component(key, spec):
    component = {"executorLabel": f"exec-{key}"}
    inputs = {}
    if spec["params"]:
        inputs["parameters"] = {n: {"parameterType": spec["types"].get(n) or _type_of(v)}
                                for n, v in spec["params"].items()}
    if spec.get("loop"):
        inputs.setdefault("parameters", {})[spec["loop"]["item"]] = {
            "parameterType": spec["loop"]["kind"]}
    if spec["artifacts"]:
        inputs["artifacts"] = {n: _artifact_type("system.Artifact") for n in spec["artifacts"]}
    outputs = {}
    if spec["out"]:
        outputs["parameters"] = {n: {"parameterType": t} for n, t in spec["out"].items()}
    if spec.get("out_artifacts"):
        outputs["artifacts"] = {n: _artifact_type(t) for n, t in spec["out_artifacts"].items()}
    if inputs:
        component["inputDefinitions"] = inputs
    if outputs:
        component["outputDefinitions"] = outputs
    return component


def _container(spec):
    container = {"image": spec["image"]}
    if spec["command"]:
        container["command"] = spec["command"]
    if spec["args"]:
        container["args"] = spec["args"]
    if spec["env"]:
        container["env"] = [{"name": n, "value": v} for n, v in spec["env"].items()]
    resources = {}
    if spec["cpu"]:
        resources["resourceCpuRequest"] = spec["cpu"]
    if spec["memory"]:
        resources["resourceMemoryRequest"] = spec["memory"]
    if resources:
        container["resources"] = resources
    return container


def _task(key, spec):
    task = {"taskInfo": {"name": key}, "componentRef": {"name": f"comp-{key}"},
            "cachingOptions": {}}
    inputs = {}
    if spec["params"]:
        inputs["parameters"] = {n: _source(v) for n, v in spec["params"].items()}
    if spec["artifacts"]:
        inputs["artifacts"] = {
            n: {"taskOutputArtifact": {"producerTask": v["from"], "outputArtifactKey": v["key"]}}
            for n, v in spec["artifacts"].items()}
    if inputs:
        task["inputs"] = inputs
    after = {v["from"] for v in [*spec["params"].values(), *spec["artifacts"].values()]
             if isinstance(v, dict) and "from" in v} | set(spec["after"])
    if after:
        task["dependentTasks"] = sorted(after)
    if spec.get("loop"):
        task["parameterIterator"] = {"itemInput": spec["loop"]["item"],
                                     "items": {"raw": json.dumps(spec["loop"]["items"])}}
        if spec["loop"]["parallelism"]:
            task["iteratorPolicy"] = {"parallelismLimit": spec["loop"]["parallelism"]}
    if spec.get("condition"):
        task["triggerPolicy"] = {"condition": spec["condition"]}
    if spec.get("retry"):
        task["retryPolicy"] = spec["retry"]
    return task
