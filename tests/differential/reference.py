"""What a pipeline means, in small: the outcome of a run, worked out task by task without any order
of events. Knows nothing of the engine.

`interpret(spec, parameters, outcome)` takes the pipeline as a dictionary, the complete parameters,
and `outcome(path, component)` → {"fails": n, "outputs": {…}, "artifacts": {name: …}}: what the step
at `path` does, and how often it fails before. Every value of `outcome` is recorded in `outcomes`.
"""

import json
import re

import expressions
from expressions import Fault, text_of

SUCCEEDED, FAILED, SKIPPED, OMITTED = "SUCCEEDED", "FAILED", "SKIPPED", "OMITTED"
RESOURCE_NAME = "p-abcde"
REFERENCE = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")
KINDS = {"NUMBER_INTEGER": "number", "NUMBER_DOUBLE": "number", "BOOLEAN": "bool", "LIST": "list",
         "STRUCT": "map", "TASK_FINAL_STATUS": "map", "STRING": "string"}


class Scope:
    """What the tasks of one DAG instance see of the outside."""

    def __init__(self, path, parameters, artifacts, retries):
        self.path, self.parameters, self.artifacts, self.retries = path, parameters, artifacts, retries


class Result:
    """How a task ended."""

    def __init__(self, state, outputs=None, artifacts=None):
        self.state, self.outputs, self.artifacts = state, outputs or {}, artifacts or {}


def upstream(task):
    """Keys of the tasks that a task depends on (execution.md 2.2)."""
    names = set(task.get("dependentTasks", []))
    inputs = task.get("inputs", {})
    for source in inputs.get("parameters", {}).values():
        for kind in ("taskOutputParameter", "taskFinalStatus"):
            if kind in source:
                names.add(source[kind]["producerTask"])
    for source in inputs.get("artifacts", {}).values():
        if "taskOutputArtifact" in source:
            names.add(source["taskOutputArtifact"]["producerTask"])
    return names


def convert(declared_type, value):
    if declared_type == "STRING":
        return text_of(value)
    if declared_type == "BOOLEAN" and expressions.kind(value) == "number" and value in (0, 1):
        return bool(value)  # as early SDKs compiled it
    if expressions.kind(value) != KINDS.get(declared_type):
        raise Fault(f"wants {declared_type}, got {value!r}")
    return value


def join(path, name):
    return f"{path}/{name}" if path else name


class Interpreter:
    def __init__(self, spec, outcome):
        self.components = spec.get("components", {})
        self.executors = spec.get("deploymentSpec", {}).get("executors", {})
        self.root = spec["root"]
        self.outcome = outcome
        self.tasks = {}     # path → record
        self.outcomes = {}  # path → what the step there does

    def run(self, parameters):
        result = self.dag(self.root, Scope("", parameters, {}, None))
        return {"state": result.state, "outputs": result.outputs, "artifacts": result.artifacts,
                "tasks": self.tasks}

    # Groups.

    def dag(self, component, scope):
        tasks = component["dag"]["tasks"]
        done = {}
        while len(done) < len(tasks):
            for key in sorted(tasks):
                if key not in done and upstream(tasks[key]) <= done.keys():
                    done[key] = self.task(key, tasks[key], scope, done)
        if any(result.state == FAILED for result in done.values()):
            return Result(FAILED)
        return Result(SUCCEEDED, *self.dag_outputs(component, done))

    @staticmethod
    def dag_outputs(component, done):
        declared = component["dag"].get("outputs", {})
        outputs, artifacts = {}, {}
        for name, output in declared.get("parameters", {}).items():
            selectors = (output["valueFromOneof"]["parameterSelectors"] if "valueFromOneof" in output
                         else [output["valueFromParameter"]])
            pick(selectors, "outputParameterKey", done, "outputs", name, outputs)
        for name, output in declared.get("artifacts", {}).items():
            pick(output["artifactSelectors"], "outputArtifactKey", done, "artifacts", name, artifacts)
        return outputs, artifacts

    def loop(self, task, component, path, parameters, artifacts, retries):
        try:
            over_artifacts, item_input, items = loop_items(task, parameters, artifacts)
        except Fault:
            return Result(FAILED)
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        results = []
        for number, item in enumerate(items):
            here = f"{path}[{number}]"
            scope = Scope(here, dict(parameters), dict(artifacts), retries)
            try:
                if over_artifacts:
                    scope.artifacts[item_input] = [item]
                elif item_input in declared:
                    scope.parameters[item_input] = convert(declared[item_input]["parameterType"], item)
                else:
                    scope.parameters[item_input] = item
                result = self.dag(component, scope)
            except Fault:
                result = Result(FAILED)
            self.record(here, result)
            results.append(result)
        if any(result.state == FAILED for result in results):
            return Result(FAILED)
        declared = component["dag"].get("outputs", {})
        # What an iteration did not make is left out; parameters keep their nesting, artifacts are flat.
        outputs = {name: [r.outputs[name] for r in results if name in r.outputs]
                   for name in declared.get("parameters", {})}
        collected = {name: [a for r in results for a in r.artifacts.get(name, [])]
                     for name in declared.get("artifacts", {})}
        return Result(SUCCEEDED, outputs, collected)

    # Tasks.

    def task(self, key, task, scope, done):
        path = join(scope.path, key)
        result = self.task_result(key, task, path, scope, done)
        self.record(path, result)
        return result

    def record(self, path, result, **more):
        record = self.tasks.setdefault(path, {"attempts": 0})
        record.update(state=result.state, outputs=result.outputs, artifacts=result.artifacts, **more)

    def task_result(self, key, task, path, scope, done):
        policy = task.get("triggerPolicy", {})
        always = policy.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        if not always and any(done[name].state != SUCCEEDED for name in upstream(task)):
            return Result(OMITTED)
        component = self.components[task["componentRef"]["name"]]
        is_dag = "dag" in component
        try:
            parameters, artifacts = Inputs(task, component, is_dag, scope, done).resolve()
            if policy.get("condition") and not expressions.condition(policy["condition"], parameters):
                return Result(SKIPPED)
        except Fault:
            return Result(FAILED)
        retries = task.get("retryPolicy", {}).get("maxRetryCount", 0) if "retryPolicy" in task \
            else scope.retries
        if "parameterIterator" in task or "artifactIterator" in task:
            return self.loop(task, component, path, parameters, artifacts, retries)
        if is_dag:
            return self.dag(component, Scope(path, parameters, artifacts, retries))
        executor = self.executors[component["executorLabel"]]
        if "importer" in executor:
            return self.importer(executor["importer"], component, parameters)
        self.tasks[path] = {"inputs": parameters, "input_artifacts": artifacts}
        return self.step(path, component, retries or 0)

    @staticmethod
    def importer(importer, component, parameters):
        uri = importer["artifactUri"]
        value = uri["constant"] if "constant" in uri else parameters.get(uri["runtimeParameter"])
        if not isinstance(value, str) or not value:
            return Result(FAILED)
        (name,) = component["outputDefinitions"]["artifacts"]
        return Result(SUCCEEDED, {}, {name: [value]})

    def step(self, path, component, retries):
        does = self.outcome(path, component)
        self.outcomes[path] = does
        self.tasks[path]["attempts"] = min(does["fails"], retries) + 1
        if does["fails"] > retries:
            return Result(FAILED)
        made = {name: [f"mem://{path}/{name}"] for name in does.get("artifacts", [])}
        return Result(SUCCEEDED, does["outputs"], made)


def pick(selectors, key, done, kind, name, into):
    """The value of the first selector whose task succeeded and made it."""
    for selector in selectors:
        producer = done[selector["producerSubtask"]]
        values = getattr(producer, kind)
        if producer.state == SUCCEEDED and selector[key] in values:
            into[name] = values[selector[key]]
            return


def loop_items(task, parameters, artifacts):
    """(whether over artifacts, name of the item's input, items)."""
    if "artifactIterator" in task:
        iterator = task["artifactIterator"]
        return True, iterator["itemInput"], artifacts.get(iterator["items"]["inputArtifact"], [])
    iterator = task["parameterIterator"]
    items = iterator["items"]
    if "raw" in items:
        return False, iterator["itemInput"], json.loads(items["raw"])
    if items["inputParameter"] not in parameters:
        raise Fault("no list")
    value = parameters[items["inputParameter"]]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise Fault("no list") from None
        value = value if isinstance(value, list) else []
    if not isinstance(value, list):
        raise Fault("no list")
    return False, iterator["itemInput"], value


class Inputs:
    """Resolves the inputs of one task (execution.md 2.4, 2.5, 2.15, 2.17)."""

    def __init__(self, task, component, is_dag, scope, done):
        self.task, self.is_dag, self.scope, self.done = task, is_dag, scope, done
        inputs = task.get("inputs", {})
        self.sources = inputs.get("parameters", {})
        self.artifact_sources = inputs.get("artifacts", {})
        declared = component.get("inputDefinitions", {})
        self.declared = declared.get("parameters", {})
        self.declared_artifacts = declared.get("artifacts", {})
        iterator = task.get("parameterIterator") or task.get("artifactIterator") or {}
        self.item_input = iterator.get("itemInput")  # comes with each iteration
        self.items_input = iterator.get("items", {}).get("inputArtifact")

    def resolve(self):
        parameters = {}
        late = [n for n, s in self.sources.items() if REFERENCE.search(json.dumps(s))]
        names = (self.sources.keys() | self.declared.keys()) - {self.item_input}
        for name in sorted(names - set(late)) + sorted(late):
            present, value = self.parameter(name, parameters)
            if present:
                parameters[name] = value
        artifacts = {}
        for name in (self.artifact_sources.keys() | self.declared_artifacts.keys()) - {self.item_input}:
            value = self.artifact(self.artifact_sources.get(name))
            if value is not None:
                artifacts[name] = value
            elif self.is_dag and name in self.artifact_sources and name != self.items_input:
                continue  # groups pass on what there is; the step that needs it misses it
            elif not self.declared_artifacts.get(name, {"isOptional": True}).get("isOptional"):
                raise Fault(f"artifact {name} is missing")
        return parameters, artifacts

    def parameter(self, name, parameters):
        """(whether it has a value, the value)."""
        source = self.sources.get(name, {})
        value = self.value(source, parameters)
        declared = self.declared.get(name)
        if value is None:
            return self.absent(name, declared)
        if declared and "literals" in declared and value not in declared["literals"]:
            raise Fault(f"{name} is none of its literals")
        if "parameterExpressionSelector" in source:
            value = expressions.select(source["parameterExpressionSelector"], value)
        if declared:
            value = convert(declared["parameterType"], value)
        return True, value

    def absent(self, name, declared):
        if declared is None:
            return False, None
        # The SDK punches what a pipeline was given through the inputs of its groups, and declares none
        # of those optional: a null goes through. What a task should have made and did not is missed.
        if self.is_dag and "defaultValue" not in declared and \
                "componentInputParameter" in self.sources.get(name, {}):
            return True, None
        optional = declared.get("isOptional", False)
        if "defaultValue" in declared:
            return self.is_dag or not optional, declared["defaultValue"]
        if not optional:
            raise Fault(f"{name} has no value")
        return self.is_dag, None

    def value(self, source, parameters):
        if "componentInputParameter" in source:
            return self.scope.parameters.get(source["componentInputParameter"])
        if "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            return self.done[output["producerTask"]].outputs.get(output["outputParameterKey"])
        if "taskFinalStatus" in source:
            producer = source["taskFinalStatus"]["producerTask"]
            state = self.done[producer].state
            return {"state": {SUCCEEDED: "COMPLETE", FAILED: "FAILED"}.get(state, "CANCELED"),
                    "error": {"code": 1, "message": "why"} if state == FAILED else {},
                    "pipelineJobResourceName": RESOURCE_NAME, "pipelineTaskName": producer}
        if "runtimeValue" in source:
            return fill(source["runtimeValue"]["constant"], parameters, self.sources)
        return None

    def artifact(self, source):
        if source is None:
            return None
        if "componentInputArtifact" in source:
            return self.scope.artifacts.get(source["componentInputArtifact"])
        output = source["taskOutputArtifact"]
        return self.done[output["producerTask"]].artifacts.get(output["outputArtifactKey"])


def fill(constant, parameters, wired):
    """A constant with its references to sibling inputs resolved; one that is wired to nothing reads as
    nothing."""
    if isinstance(constant, list):
        return [fill(item, parameters, wired) for item in constant]
    if isinstance(constant, dict):
        return {key: fill(item, parameters, wired) for key, item in constant.items()}
    if not isinstance(constant, str):
        return constant
    return REFERENCE.sub(
        lambda m: text_of(parameters.get(m[1])) if m[1] in wired else m[0], constant)


def interpret(spec, parameters, outcome):
    """(what the run ends as, what each step did)."""
    interpreter = Interpreter(spec, outcome)
    return interpreter.run(parameters), interpreter.outcomes
