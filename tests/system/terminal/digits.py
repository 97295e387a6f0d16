from kfp import dsl


@dsl.component(base_image="python:3.11")
def load(rows: dsl.Output[dsl.Dataset]):
    with open(rows.path, "w") as file:
        file.write("1,2\n3,n/a\n" * 1000)


@dsl.component(base_image="python:3.11")
def train(rows: dsl.Input[dsl.Dataset], rate: float) -> float:
    total = 0.0
    with open(rows.path) as file:
        for line in file:
            for word in line.strip().split(","):
                if word == "n/a":
                    raise ValueError(f"could not convert {word!r}")
                total += float(word) * rate
    return total


@dsl.component(base_image="python:3.11")
def evaluate(total: float) -> float:
    return total


@dsl.pipeline(name="digits")
def digits(rate: float = 0.5):
    rows = load()
    total = train(rows=rows.outputs["rows"], rate=rate)
    evaluate(total=total.output)
