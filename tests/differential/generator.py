"""Random pipelines as the SDK would compile them, written as dictionaries: groups nested in groups,
with every value from outside punched through the inputs of all groups between."""

import json
import random
import zlib

INT, STR, BOOL, INTS, DICTS, DICT, LISTS, STATUS, ARTIFACT, ARTIFACTS = (
    "int", "str", "bool", "ints", "dicts", "dict", "lists", "status", "artifact", "artifacts")
PARAMETER_TYPES = {INT: "NUMBER_INTEGER", STR: "STRING", BOOL: "BOOLEAN", INTS: "LIST",
                   DICTS: "LIST", LISTS: "LIST", DICT: "STRUCT", STATUS: "TASK_FINAL_STATUS"}
FIELDS = {"a": INT, "b": STR, "xs": INTS}
LIST_OF = {INT: INTS, INTS: LISTS, DICT: DICTS}
DATASET = {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}


def constant_of(kind, rng, depth=0):
    if kind == INT:
        return rng.randrange(4)
    if kind == STR:
        return rng.choice(["x", "y", "it's", "<&>", "é"])
    if kind == BOOL:
        return rng.random() < 0.5
    if kind == DICT:
        return {"a": constant_of(INT, rng), "b": constant_of(STR, rng), "xs": constant_of(INTS, rng)}
    length = rng.choice([0, 1, 2, 2, 3])
    if kind == INTS:
        return [constant_of(INT, rng) for _ in range(length)]
    if kind == DICTS:
        return [constant_of(DICT, rng) for _ in range(length)]
    return [constant_of(INTS, rng) for _ in range(length)]


class Value:
    """Something a task made or a group was given. `owner` is the group in which it can be named;
    `name` is what the groups inside call it."""

    def __init__(self, owner, kind, name, source, selector=None, fallible=False, nullable=False):
        self.owner, self.kind, self.name, self.source = owner, kind, name, source
        self.selector, self.fallible, self.nullable = selector, fallible, nullable

    def field(self, key):
        return Value(self.owner, FIELDS[key], self.name, self.source,
                     f'parseJson(string_value)["{key}"]')


class Group:
    """A DAG component in the making."""

    def __init__(self, component, parent, depth, weight, values):
        self.component, self.parent, self.depth, self.weight = component, parent, depth, weight
        self.values = values    # what can be used inside
        self.punched = {}       # (name, kind) → input of this group
        self.task = None        # that runs it in the parent
        self.tasks = component["dag"]["tasks"]
        self.done = []          # keys of tasks, for `after`

    def source_of(self, value):
        """Where a task in this group finds the value, punching it through the groups between."""
        if value.owner is self:
            return dict(value.source)
        name = f"pipelinechannel--{value.name}"
        is_artifact = value.kind in (ARTIFACT, ARTIFACTS)
        definitions = self.component.setdefault("inputDefinitions", {}).setdefault(
            "artifacts" if is_artifact else "parameters", {})
        if name not in definitions:
            wired = self.task.setdefault("inputs", {}).setdefault(
                "artifacts" if is_artifact else "parameters", {})
            wired[name] = self.parent.source_of(value)
            if is_artifact:
                definitions[name] = {"artifactType": DATASET}
                if value.kind == ARTIFACTS:
                    definitions[name]["isArtifactList"] = True
            else:
                definitions[name] = {"parameterType": PARAMETER_TYPES[value_kind(value)]}
        return {("componentInputArtifact" if is_artifact else "componentInputParameter"): name}


def value_kind(value):
    return DICT if value.selector and value.kind != STATUS else value.kind


class Generator:
    def __init__(self, seed, size=30):
        self.rng = random.Random(seed)
        self.left = size
        self.numbers = 0
        self.components = {}
        self.executors = {"exec": {"container": {"image": "none", "command": ["true"]}}}
        self.reusable = []  # (component name, inputs, outputs) of sub-pipelines
        self.parameters = {}

    def chance(self, p):
        return self.rng.random() < p

    def number(self):
        self.numbers += 1
        return self.numbers

    def spec(self):
        root = self.new_group("root", None, 0, 1, [])
        self.add_root_inputs(root)
        self.fill(root, self.rng.randrange(3, 8))
        if not root.tasks:
            self.add_leaf(root)
        self.add_exit_tasks(root)
        self.add_outputs(root, 3)
        component = self.components.pop("root")
        return {"pipelineInfo": {"name": "test"}, "schemaVersion": "2.1.0", "root": component,
                "components": self.components, "deploymentSpec": {"executors": self.executors}}

    def new_group(self, name, parent, depth, weight, values):
        self.components[name] = {"dag": {"tasks": {}}}
        return Group(self.components[name], parent, depth, weight, values)

    def add_root_inputs(self, root):
        for i in range(self.rng.randrange(4)):
            kind = self.rng.choice([INT, STR, BOOL, INTS, DICTS, DICT])
            name = f"p{i}"
            declared = {"parameterType": PARAMETER_TYPES[kind]}
            value = constant_of(kind, self.rng)
            nullable = False
            if self.chance(0.3):
                declared["isOptional"] = True
                nullable = self.chance(0.5)
                if nullable:
                    value = None
                else:
                    declared["defaultValue"] = value
            definitions = root.component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
            definitions[name] = declared
            self.parameters[name] = value
            root.values.append(
                Value(root, kind, name, {"componentInputParameter": name}, nullable=nullable))

    def fill(self, group, statements):
        for _ in range(statements):
            if self.left <= 0:
                return
            self.statement(group)

    def statement(self, group):
        nests = group.depth < 4
        choice = self.rng.random()
        if not nests or choice < 0.4:
            self.add_leaf(group)
        elif choice < 0.55:
            self.add_branches(group)
        elif choice < 0.75:
            self.add_loop(group)
        elif choice < 0.87:
            self.add_sub_pipeline(group)
        elif choice < 0.90:
            self.add_artifact_loop(group)
        elif choice < 0.94:
            self.add_importer(group)
        elif choice < 0.97:
            self.add_guarded(group)
        else:
            self.add_survivor(group)

    # Leaves.

    def usable(self, group, kinds):
        """A value of one of the kinds; fields of dictionaries count."""
        found = []
        for value in group.values:
            if value.kind in kinds:
                found.append(value)
            if value.kind == DICT and not value.selector and not value.nullable:
                found += [value.field(key) for key, kind in FIELDS.items() if kind in kinds]
        return self.rng.choice(found) if found else None

    def add_task(self, group, key, component, after=True):
        task = {"componentRef": {"name": component}, "taskInfo": {"name": key}}
        if after and group.done and self.chance(0.15):
            task["dependentTasks"] = [self.rng.choice(group.done)]
        group.tasks[key] = task
        group.done.append(key)
        return task

    def wire(self, group, task, name, value):
        is_artifact = value.kind in (ARTIFACT, ARTIFACTS)
        source = group.source_of(value)
        if value.selector:
            source["parameterExpressionSelector"] = value.selector
        wired = task.setdefault("inputs", {}).setdefault(
            "artifacts" if is_artifact else "parameters", {})
        wired[name] = source

    def add_leaf(self, group, always=None, output=None, key=None):
        self.left -= group.weight
        key = key or f"t{self.number()}"
        component = {"executorLabel": "exec"}
        self.components[f"comp-{key}"] = component
        task = self.add_task(group, key, f"comp-{key}", after=always is None)
        if always is not None:
            task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
            task["dependentTasks"] = list(always)
        for i in range(self.rng.randrange(4)):
            self.add_input(group, task, component, f"in{i}", always)
        if self.chance(0.25):
            task["retryPolicy"] = self.retry_policy()
        return self.declare_outputs(group, key, component, output)

    def retry_policy(self):
        policy = {"maxRetryCount": self.rng.choice([0, 1, 2, 3])}
        if self.chance(0.7):
            policy.update(backoffDuration=f"{self.rng.choice([0, 1, 60])}s",
                          backoffFactor=self.rng.choice([1.0, 2.0, 1.5]), backoffMaxDuration="100000s")
        return policy

    def add_input(self, group, task, component, name, always):
        definitions = component.setdefault("inputDefinitions", {})
        chosen = self.rng.random()
        if chosen < 0.15:
            value = self.usable(group, {ARTIFACT, ARTIFACTS})
            if value is None:
                return
            optional = always is not None or self.chance(0.2)
            declared = {"artifactType": DATASET, **({"isOptional": True} if optional else {}),
                        **({"isArtifactList": True} if value.kind == ARTIFACTS else {})}
            definitions.setdefault("artifacts", {})[name] = declared
            self.wire(group, task, name, value)
            return
        kind = self.rng.choice([INT, INT, STR, STR, BOOL, INTS, DICTS, DICT, LISTS])
        declared = {"parameterType": PARAMETER_TYPES[kind]}
        definitions.setdefault("parameters", {})[name] = declared
        value = self.usable(group, {kind})
        if kind == STR and self.chance(0.5):  # anything becomes text
            value = self.usable(group, {INT, BOOL, INTS, DICT, STR}) or value
        elif self.chance(0.015):
            value = self.usable(group, {INT, STR, BOOL, INTS}) or value  # it may not fit
        safe = always is not None or value is not None and value.nullable
        if safe or self.chance(0.2):
            declared["isOptional"] = True
            if self.chance(0.5) or always is not None and self.chance(0.5):
                declared["defaultValue"] = constant_of(kind, self.rng)
        elif self.chance(0.1):
            declared["defaultValue"] = constant_of(kind, self.rng)
        if value is not None and chosen < 0.8:
            if kind == STR and not value.selector and value.kind != STATUS and self.chance(0.3):
                extra = f"pipelinechannel--{value.name}"
                self.wire(group, task, extra, value)
                text = f"is {{{{$.inputs.parameters['{extra}']}}}}, and {{{{$.unknown}}}}"
                task["inputs"]["parameters"][name] = {"runtimeValue": {"constant": text}}
            else:
                self.wire(group, task, name, value)
                if kind == INT and not value.selector and self.chance(0.1):
                    declared["literals"] = [0, 1, 2]
                    declared.pop("defaultValue", None)
        elif not (declared.get("isOptional") or "defaultValue" in declared) or self.chance(0.5):
            constant = constant_of(kind, self.rng)
            task.setdefault("inputs", {}).setdefault("parameters", {})[name] = {
                "runtimeValue": {"constant": constant}}

    def declare_outputs(self, group, key, component, output):
        kind = output or self.rng.choice([None, INT, INT, STR, BOOL, INTS, INTS, DICTS, DICT, ARTIFACT])
        if kind is None:
            return None
        name = "data"
        if kind == ARTIFACT:
            component["outputDefinitions"] = {"artifacts": {"data": {"artifactType": DATASET}}}
            source = {"taskOutputArtifact": {"producerTask": key, "outputArtifactKey": "data"}}
        else:
            name = "Dicts" if kind == DICTS else "Output"  # for outcome_of: LIST says too little
            component["outputDefinitions"] = {
                "parameters": {name: {"parameterType": PARAMETER_TYPES[kind]}}}
            source = {"taskOutputParameter": {"producerTask": key, "outputParameterKey": name}}
        value = Value(group, kind, f"{key}-{name}", source)
        group.values.append(value)
        return value

    def add_importer(self, group):
        key = f"importer{self.number()}"
        text = self.usable(group, {STR})
        dynamic = text is not None and not text.nullable and self.chance(0.5)
        self.components[f"comp-{key}"] = {
            "executorLabel": f"exec-{key}",
            "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
            "outputDefinitions": {"artifacts": {"artifact": {"artifactType": DATASET}}}}
        uri = {"runtimeParameter": "uri"} if dynamic else {"constant": f"gs://bucket/{key}"}
        self.executors[f"exec-{key}"] = {"importer": {"artifactUri": uri, "typeSchema": DATASET}}
        task = self.add_task(group, key, f"comp-{key}")
        if dynamic:
            extra = f"pipelinechannel--{text.name}"
            self.wire(group, task, extra, text)
            constant = f"gs://bucket/{{{{$.inputs.parameters['{extra}']}}}}"
        else:
            constant = f"gs://bucket/{key}"
        task.setdefault("inputs", {}).setdefault("parameters", {})["uri"] = {
            "runtimeValue": {"constant": constant}}
        group.values.append(Value(group, ARTIFACT, f"{key}-artifact", {
            "taskOutputArtifact": {"producerTask": key, "outputArtifactKey": "artifact"}}))

    # Groups.

    def open_group(self, parent, prefix, weight=None, key=None):
        key = key or f"{prefix}-{self.number()}"
        group = self.new_group(f"comp-{key}", parent, parent.depth + 1, weight or parent.weight,
                               list(parent.values))
        group.task = self.add_task(parent, key, f"comp-{key}")
        group.key = key
        return group

    def close(self, group):
        if not group.tasks:
            self.add_leaf(group)

    def condition_on(self, parent, task, component, value):
        """A comparison over the value, which becomes an input of the task."""
        name = f"pipelinechannel--{value.name}"
        if value.selector:
            name += "-subvar-" + value.selector.split('"')[1]
        self.wire(parent, task, name, value)
        definitions = component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
        definitions.setdefault(name, {"parameterType": PARAMETER_TYPES[value.kind]})
        x = f"inputs.parameter_values['{name}']"
        if value.kind == INT:
            sign = self.rng.choice(["==", "!=", "<", "<=", ">", ">="])
            if self.chance(0.2):
                return f"double(int({x})) {sign} 1.5"
            return f"int({x}) {sign} {self.rng.randrange(4)}"
        if value.kind == BOOL:
            return f"{x} == {self.rng.choice(['true', 'false'])}"
        return f"{x} {self.rng.choice(['==', '!='])} '{self.rng.choice(['x', 'y'])}'"

    def condition_value(self, group):
        value = self.usable(group, {INT, STR, BOOL})
        if value is not None and value.nullable and not self.chance(0.1):
            return None
        return value

    def add_guarded(self, group):
        """A leaf with a condition of its own."""
        value = self.condition_value(group)
        if value is None or value.selector:
            return self.add_leaf(group)
        self.add_leaf(group)
        key = group.done[-1]
        task, component = group.tasks[key], self.components[f"comp-{key}"]
        task["triggerPolicy"] = {"condition": self.condition_on(group, task, component, value)}
        return None

    def add_branches(self, group):
        value = self.condition_value(group)
        if value is None:
            return self.add_leaf(group)
        branch_count = self.rng.choice([1, 1, 2, 2, 3])
        if branch_count == 1:
            branch = self.open_group(group, "condition")
            branch.task["triggerPolicy"] = {
                "condition": self.condition_on(group, branch.task, branch.component, value)}
            self.fill(branch, self.rng.randrange(1, 3))
            return self.close(branch)
        outer = self.open_group(group, "condition-branches")
        has_else = self.chance(0.7)
        one_of = self.rng.choice([INT, STR, INTS, ARTIFACT]) if self.chance(0.7) else None
        earlier, selectors = [], []
        for i in range(branch_count):
            branch = self.open_group(outer, "condition")
            branch.task.pop("dependentTasks", None)
            is_else = has_else and i == branch_count - 1
            own = None if is_else else self.condition_on(
                outer, branch.task, branch.component, self.condition_value(group) or value)
            self.share_inputs(earlier, branch)
            parts = [f"!({text})" for text, _ in earlier] + ([own] if own else [])
            branch.task["triggerPolicy"] = {"condition": " && ".join(parts)}
            earlier.append((own, branch))
            self.fill(branch, self.rng.randrange(0, 2))
            if one_of:
                made = self.add_leaf(branch, output=one_of)
                selectors.append(self.export(branch, made))
            self.close(branch)
        self.rng.shuffle(selectors)
        if one_of:
            self.one_of(group, outer, one_of, selectors)
        return None

    @staticmethod
    def share_inputs(earlier, branch):
        """A later branch names what the conditions of the earlier ones name."""
        for text, other in earlier:
            for name, source in other.task.get("inputs", {}).get("parameters", {}).items():
                if f"['{name}']" not in text:
                    continue
                branch.task.setdefault("inputs", {}).setdefault("parameters", {}).setdefault(
                    name, dict(source))
                branch.component.setdefault("inputDefinitions", {}).setdefault(
                    "parameters", {}).setdefault(
                        name, dict(other.component["inputDefinitions"]["parameters"][name]))

    def one_of(self, group, outer, kind, selectors):
        name = f"pipelinechannel--{outer.key}-oneof-1"
        outputs = outer.component["dag"].setdefault("outputs", {})
        if kind == ARTIFACT:
            outputs["artifacts"] = {name: {"artifactSelectors": selectors}}
            definition = {"artifacts": {name: {"artifactType": DATASET}}}
            source = {"taskOutputArtifact": {"producerTask": outer.key, "outputArtifactKey": name}}
        else:
            outputs["parameters"] = {name: {"valueFromOneof": {"parameterSelectors": selectors}}}
            definition = {"parameters": {name: {"parameterType": PARAMETER_TYPES[kind]}}}
            source = {"taskOutputParameter": {"producerTask": outer.key, "outputParameterKey": name}}
        outer.component["outputDefinitions"] = definition
        group.values.append(Value(group, kind, f"{outer.key}-oneof-1", source, fallible=True))

    def export(self, group, value, kind=None):
        """Makes a value of the group an output of it; returns the selector for the parent."""
        kind = kind or value.kind
        name = f"pipelinechannel--{value.name}"
        outputs = group.component["dag"].setdefault("outputs", {})
        definitions = group.component.setdefault("outputDefinitions", {})
        if value.kind in (ARTIFACT, ARTIFACTS):
            of = value.source["taskOutputArtifact"]
            outputs.setdefault("artifacts", {})[name] = {"artifactSelectors": [
                {"producerSubtask": of["producerTask"], "outputArtifactKey": of["outputArtifactKey"]}]}
            definitions.setdefault("artifacts", {})[name] = {
                "artifactType": DATASET, **({"isArtifactList": True} if kind == ARTIFACTS else {})}
            return {"producerSubtask": group.key, "outputArtifactKey": name}
        of = value.source["taskOutputParameter"]
        outputs.setdefault("parameters", {})[name] = {"valueFromParameter": {
            "producerSubtask": of["producerTask"], "outputParameterKey": of["outputParameterKey"]}}
        definitions.setdefault("parameters", {})[name] = {"parameterType": PARAMETER_TYPES[kind]}
        return {"producerSubtask": group.key, "outputParameterKey": name}

    def outside(self, group, parent, value, kind, name=None):
        """The exported value as one of the parent."""
        selector = self.export(group, value, kind)
        word = "Artifact" if value.kind in (ARTIFACT, ARTIFACTS) else "Parameter"
        source = {f"taskOutput{word}": {"producerTask": group.key,
                                        f"output{word}Key": selector[f"output{word}Key"]}}
        made = Value(parent, kind, name or f"{group.key}-{value.name}", source, fallible=True)
        parent.values.append(made)
        return made

    def own_values(self, group):
        return [v for v in group.values if v.owner is group and "taskOutput" in next(iter(v.source))]

    def add_loop(self, group):
        value = self.usable(group, {INTS, DICTS, LISTS}) if self.chance(0.7) else None
        if value is not None and value.nullable:
            value = None
        loop = self.open_group(group, "for-loop", group.weight * 2)
        if self.chance(0.4):
            loop.task["iteratorPolicy"] = {"parallelismLimit": self.rng.choice([0, 1, 1, 2])}
        if value is None:
            item_kind = self.rng.choice([INT, STR, DICT])
            items = [constant_of(item_kind, self.rng) for _ in range(self.rng.choice([1, 2, 2, 3]))]
            name = f"loop-item-param-{self.number()}"
            iterator = {"items": {"raw": json.dumps(items, sort_keys=True)}, "itemInput": f"pipelinechannel--{name}"}
        else:
            item_kind = {INTS: INT, DICTS: DICT, LISTS: INTS}[value.kind]
            list_name = f"pipelinechannel--{value.name}"
            if value.selector:
                list_name += "-subvar-" + value.selector.split('"')[1]
            self.wire(group, loop.task, list_name, value)
            definitions = loop.component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
            definitions[list_name] = {"parameterType": "LIST"}
            name = f"{list_name[len('pipelinechannel--'):]}-loop-item-{self.number()}"
            iterator = {"items": {"inputParameter": list_name}, "itemInput": f"pipelinechannel--{name}"}
        loop.task["parameterIterator"] = iterator
        definitions = loop.component.setdefault("inputDefinitions", {}).setdefault("parameters", {})
        definitions[iterator["itemInput"]] = {"parameterType": PARAMETER_TYPES[item_kind]}
        item = Value(loop, item_kind, name, {"componentInputParameter": iterator["itemInput"]})
        loop.values += [item, item]
        self.fill(loop, self.rng.randrange(1, 4))
        self.close(loop)
        self.collect(loop, group)

    def add_artifact_loop(self, group):
        value = self.usable(group, {ARTIFACTS})
        if value is None:
            return self.add_loop(group)
        loop = self.open_group(group, "for-loop", group.weight * 2)
        list_name = f"pipelinechannel--{value.name}"
        self.wire(group, loop.task, list_name, value)
        item_name = f"{list_name}-loop-item-{self.number()}"
        loop.component.setdefault("inputDefinitions", {}).setdefault("artifacts", {}).update({
            list_name: {"artifactType": DATASET, "isArtifactList": True},
            item_name: {"artifactType": DATASET}})
        loop.task["artifactIterator"] = {"items": {"inputArtifact": list_name}, "itemInput": item_name}
        loop.values.append(Value(loop, ARTIFACT, item_name[len("pipelinechannel--"):],
                                 {"componentInputArtifact": item_name}))
        self.fill(loop, self.rng.randrange(1, 3))
        self.close(loop)
        return self.collect(loop, group)

    def collect(self, loop, group):
        for value in self.own_values(loop)[:4]:
            kind = {ARTIFACT: ARTIFACTS, ARTIFACTS: ARTIFACTS}.get(value.kind) or LIST_OF.get(value.kind)
            if kind is not None and self.chance(0.5):
                self.outside(loop, group, value, kind)
        # A producer below a condition: some iterations have no value for it.
        for key in loop.done:
            inner = self.components[f"comp-{key}"] if f"comp-{key}" in self.components else {}
            if not key.startswith("condition-") or key.startswith("condition-branches") or "dag" not in inner:
                continue
            for child in list(inner["dag"]["tasks"])[:1]:
                made = self.components.get(f"comp-{child}", {}).get("outputDefinitions", {})
                if made.get("parameters", {}).get("Output", {}).get("parameterType") != "NUMBER_INTEGER":
                    continue
                name = f"pipelinechannel--{child}-Output"
                inner["dag"].setdefault("outputs", {}).setdefault("parameters", {})[name] = {
                    "valueFromParameter": {"producerSubtask": child, "outputParameterKey": "Output"}}
                inner.setdefault("outputDefinitions", {}).setdefault("parameters", {})[name] = {
                    "parameterType": "NUMBER_INTEGER"}
                value = Value(loop, INT, f"{key}-{child}", {"taskOutputParameter": {
                    "producerTask": key, "outputParameterKey": name}})
                self.outside(loop, group, value, INTS)

    def add_sub_pipeline(self, group):
        if self.reusable and self.chance(0.3):
            return self.call_again(group)
        key = f"sub{self.number()}"
        sub = self.open_group(group, "sub", key=key)
        sub.values = []
        inputs = []
        for i in range(self.rng.randrange(3)):
            kind = self.rng.choice([INT, STR, INTS, DICT, BOOL])
            declared = {"parameterType": PARAMETER_TYPES[kind]}
            nullable = False
            if self.chance(0.5):
                declared["isOptional"] = True
                if self.chance(0.5):
                    declared["defaultValue"] = constant_of(kind, self.rng)
                else:
                    nullable = True
            sub.component.setdefault("inputDefinitions", {}).setdefault("parameters", {})[
                f"q{i}"] = declared
            inputs.append((f"q{i}", kind, declared))
            sub.values.append(
                Value(sub, kind, f"q{i}", {"componentInputParameter": f"q{i}"}, nullable=nullable))
        self.wire_sub_inputs(group, sub.task, inputs)
        if self.chance(0.4):
            sub.task["retryPolicy"] = self.retry_policy()
        before = self.left
        self.fill(sub, self.rng.randrange(1, 4))
        self.close(sub)
        outputs = []
        for value in self.own_values(sub)[:3]:
            made = self.outside(sub, group, value, value.kind)
            outputs.append((made.source, value.kind, value.name))
        self.reusable.append((key, inputs, outputs, before - self.left))
        return None

    def wire_sub_inputs(self, group, task, inputs):
        for name, kind, declared in inputs:
            optional = declared.get("isOptional")
            if optional and self.chance(0.4):
                continue
            value = self.usable(group, {kind})
            if value is not None and (optional or not value.nullable) and self.chance(0.7):
                self.wire(group, task, name, value)
            else:
                task.setdefault("inputs", {}).setdefault("parameters", {})[name] = {
                    "runtimeValue": {"constant": constant_of(kind, self.rng)}}

    def call_again(self, group):
        name, inputs, outputs, cost = self.rng.choice(self.reusable)
        self.left -= cost
        key = f"{name}-{self.number()}"
        task = self.add_task(group, key, f"comp-{name}")
        self.wire_sub_inputs(group, task, inputs)
        for source, kind, value_name in outputs:
            ((word, of),) = source.items()
            group.values.append(Value(group, kind, f"{key}-{value_name}",
                                      {word: {**of, "producerTask": key}}, fallible=True))
        return None

    # Tasks that run whatever happened.

    def add_survivor(self, group):
        """A leaf that ignores the failure of its upstream and has defaults."""
        if not group.done:
            return self.add_leaf(group)
        upstream = self.rng.sample(group.done, min(len(group.done), self.rng.choice([1, 1, 2])))
        return self.add_leaf(group, always=sorted(upstream))

    def add_exit_tasks(self, root):
        if not self.chance(0.5):
            return
        handler = self.open_group(root, "exit-handler")
        handler.task.pop("dependentTasks", None)
        self.fill(handler, self.rng.randrange(1, 4))
        self.close(handler)
        for _ in range(self.rng.choice([1, 1, 2])):
            key = f"notify{self.number()}"
            if self.chance(0.3):
                self.add_exit_pipeline(root, key, handler.key)
                continue
            self.add_leaf(root, always=[handler.key], key=key)
            component, task = self.components[f"comp-{key}"], root.tasks[key]
            if self.chance(0.7):
                component.setdefault("inputDefinitions", {}).setdefault("parameters", {})["status"] = {
                    "parameterType": "TASK_FINAL_STATUS", "isOptional": True}
                task.setdefault("inputs", {}).setdefault("parameters", {})["status"] = {
                    "taskFinalStatus": {"producerTask": handler.key}}
        if self.chance(0.3):
            key = f"last{self.number()}"
            self.add_leaf(root, key=key)
            root.tasks[key].setdefault("dependentTasks", []).append(root.done[-2])

    def add_exit_pipeline(self, root, key, handler):
        """A sub-pipeline as exit task, which branches on the final status."""
        sub = self.open_group(root, "notify", key=key)
        sub.values = []
        sub.component["inputDefinitions"] = {"parameters": {
            "status": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}}}
        sub.task["inputs"] = {"parameters": {"status": {"taskFinalStatus": {"producerTask": handler}}}}
        sub.task["dependentTasks"] = [handler]
        sub.task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        for state in ("COMPLETE", "FAILED"):
            branch = self.open_group(sub, "condition")
            branch.task.pop("dependentTasks", None)
            branch.task["inputs"] = {"parameters": {"state": {
                "componentInputParameter": "status",
                "parameterExpressionSelector": 'parseJson(string_value)["state"]'}}}
            branch.component["inputDefinitions"] = {"parameters": {"state": {"parameterType": "STRING"}}}
            branch.task["triggerPolicy"] = {
                "condition": f"inputs.parameter_values['state'] == '{state}'"}
            self.add_leaf(branch)

    def add_outputs(self, root, count):
        definitions = root.component.setdefault("outputDefinitions", {})
        outputs = root.component["dag"].setdefault("outputs", {})
        for value in self.own_values(root)[-count:]:
            if value.kind in (ARTIFACT, ARTIFACTS):
                of = value.source["taskOutputArtifact"]
                definitions.setdefault("artifacts", {})[value.name] = {
                    "artifactType": DATASET,
                    **({"isArtifactList": True} if value.kind == ARTIFACTS else {})}
                outputs.setdefault("artifacts", {})[value.name] = {"artifactSelectors": [
                    {"producerSubtask": of["producerTask"],
                     "outputArtifactKey": of["outputArtifactKey"]}]}
            else:
                of = value.source["taskOutputParameter"]
                definitions.setdefault("parameters", {})[value.name] = {
                    "parameterType": PARAMETER_TYPES[value.kind]}
                outputs.setdefault("parameters", {})[value.name] = {"valueFromParameter": {
                    "producerSubtask": of["producerTask"],
                    "outputParameterKey": of["outputParameterKey"]}}


def outcome_of(seed):
    """What each step does, from nothing but its path: in most runs all succeed, if not at once."""
    kinds = {"NUMBER_INTEGER": INT, "STRING": STR, "BOOLEAN": BOOL, "STRUCT": DICT}

    def outcome(path, component):
        rng = random.Random(zlib.crc32(f"{seed} {path}".encode()))
        declared = component.get("outputDefinitions", {})
        fails = rng.choice([0] * 20 + [1, 2, 3, 1000]) if seed % 3 == 0 else 0
        outputs = {}
        for name, output in declared.get("parameters", {}).items():
            kind = kinds.get(output["parameterType"])
            outputs[name] = constant_of(kind or (DICTS if name == "Dicts" else INTS), rng)
        return {"fails": fails, "outputs": outputs, "artifacts": list(declared.get("artifacts", {}))}

    return outcome


def generate(seed):
    """(spec, complete parameters)."""
    generator = Generator(seed)
    spec = generator.spec()
    return spec, generator.parameters
