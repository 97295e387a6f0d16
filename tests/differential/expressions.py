"""The few shapes of CEL that the generator emits: a parser and an evaluator in one."""

import json
import re

TOKEN = re.compile(r"""\s*(?:(\d+\.\d+|\d+)|('[^']*'|"[^"]*")|(&&|\|\||==|!=|<=|>=|[-!<>()\[\].,])|(\w+))""")


class Fault(Exception):
    """The expression has no value here."""


def kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "list", dict: "map"}[type(value)]


def equal(a, b):
    return kind(a) == kind(b) and a == b


def less(a, b):
    if kind(a) != kind(b) or kind(a) not in ("number", "string"):
        raise Fault("no such overload")
    return a < b


def text_of(value):
    """What a value is as a string (execution.md 2.5)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json_text(value)


def json_text(value):
    def whole(v):
        if isinstance(v, float) and v == int(v):
            return int(v)
        if isinstance(v, list):
            return [whole(x) for x in v]
        if isinstance(v, dict):
            return {k: whole(x) for k, x in v.items()}
        return v

    text = json.dumps(whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Evaluator:
    """Recursive descent; sub-expressions are closures, because `&&` absorbs a fault of one side."""

    def __init__(self, text, variables):
        self.tokens = [m.groups() for m in TOKEN.finditer(text)]
        self.variables = variables
        self.at = 0

    def value(self):
        result = self.conjunction()
        if self.at != len(self.tokens):
            raise Fault("syntax")
        return result()

    def peek(self):
        return self.tokens[self.at][2] if self.at < len(self.tokens) else None

    def take(self, *signs):
        if self.peek() in signs:
            self.at += 1
            return self.tokens[self.at - 1][2]
        return None

    def conjunction(self):
        sides = [self.comparison()]
        while self.take("&&"):
            sides.append(self.comparison())
        return sides[0] if len(sides) == 1 else lambda: self.all_hold(sides)

    @staticmethod
    def all_hold(sides):
        fault = None
        for side in sides:
            try:
                value = side()
                if value is False:
                    return False
                if value is not True:
                    fault = Fault("no such overload")
            except Fault as caught:
                fault = caught
        if fault:
            raise fault
        return True

    def comparison(self):
        left = self.unary()
        sign = self.take("==", "!=", "<", "<=", ">", ">=")
        if sign is None:
            return left
        right = self.unary()
        compare = {
            "==": lambda a, b: equal(a, b), "!=": lambda a, b: not equal(a, b),
            "<": less, ">": lambda a, b: less(b, a),
            "<=": lambda a, b: not less(b, a), ">=": lambda a, b: not less(a, b),
        }[sign]
        return lambda: compare(left(), right())

    def unary(self):
        if self.take("!"):
            inner = self.unary()
            return lambda: self.negate(inner())
        if self.take("-"):
            inner = self.unary()
            return lambda: -inner()
        return self.path()

    @staticmethod
    def negate(value):
        if not isinstance(value, bool):
            raise Fault("no such overload")
        return not value

    def path(self):
        result = self.atom()
        while True:
            if self.take("["):
                key = self.conjunction()
                self.take("]")
                result = (lambda of, at: lambda: index(of(), at()))(result, key)
            elif self.take("."):
                name = self.tokens[self.at][3]
                self.at += 1
                result = (lambda of, at: lambda: index(of(), at))(result, name)
            else:
                return result

    def atom(self):
        number, string, sign, word = self.tokens[self.at]
        self.at += 1
        if number is not None:
            return lambda: float(number) if "." in number else int(number)
        if string is not None:
            return lambda: string[1:-1]
        if sign == "(":
            inner = self.conjunction()
            self.take(")")
            return inner
        if word in ("true", "false"):
            return lambda: word == "true"
        if word in ("int", "double", "parseJson") and self.take("("):
            argument = self.conjunction()
            self.take(")")
            return lambda: CALLS[word](argument())
        return lambda: self.variable(word)

    def variable(self, word):
        if word not in self.variables:
            raise Fault(f"no such attribute: {word}")
        return self.variables[word]


def index(of, at):
    try:
        if kind(of) == "map" and kind(at) == "string" or kind(of) == "list" and kind(at) == "number":
            return of[at]
    except (KeyError, IndexError):
        pass
    raise Fault(f"no such key: {at}")


def to_int(value):
    if kind(value) == "number":
        return int(value)
    if kind(value) == "string" and re.fullmatch(r"[-+]?\d+", value):
        return int(value)
    raise Fault("no such overload")


def to_double(value):
    if kind(value) == "number":
        return float(value)
    raise Fault("no such overload")


def parse_json(value):
    if kind(value) != "string":
        raise Fault("no such overload")
    try:
        return json.loads(value)
    except ValueError:
        raise Fault("failed to unmarshal JSON") from None


CALLS = {"int": to_int, "double": to_double, "parseJson": parse_json}


def condition(text, parameters):
    value = Evaluator(text, {"inputs": {"parameter_values": parameters}}).value()
    if not isinstance(value, bool):
        raise Fault("no bool")
    return value


def select(text, value):
    names = {"null": "null_value", "number": "number_value", "bool": "bool_value",
             "map": "struct_value", "list": "list_value", "string": "string_value"}
    result = Evaluator(text, {"string_value": text_of(value), names[kind(value)]: value}).value()
    if result is None:
        raise Fault("the selected value is null")
    return result
