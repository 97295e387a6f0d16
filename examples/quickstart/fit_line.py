"""Three Python steps that hand each other data: make points, fit a line, judge the fit.

An ordinary kfp pipeline. Compile it with:  python fit_line.py
"""

from typing import NamedTuple

from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="python:3.11")
def make_points(rows: int, noise: float, points: Output[Dataset]):
    """Writes `rows` points around y = 2x + 1 as CSV."""
    import random

    draw = random.Random(7)
    with open(points.path, "w") as file:
        file.write("x,y\n")
        for row in range(rows):
            x = 10 * row / rows
            file.write(f"{x},{2 * x + 1 + draw.gauss(0, noise)}\n")
    points.metadata["rows"] = rows
    print(f"wrote {rows} points")


@dsl.component(base_image="python:3.11")
def fit(
    points: Input[Dataset], line: Output[Model]
) -> NamedTuple("Line", [("slope", float), ("intercept", float)]):
    """Least squares, without a library."""
    import csv
    import json

    with open(points.path) as file:
        pairs = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / sum(
        (x - mean_x) ** 2 for x, _ in pairs
    )
    intercept = mean_y - slope * mean_x
    with open(line.path, "w") as file:
        json.dump({"slope": slope, "intercept": intercept}, file)
    print(f"y = {slope:.3f} x + {intercept:.3f}")
    return (round(slope, 3), round(intercept, 3))


@dsl.component(base_image="python:3.11")
def judge(
    points: Input[Dataset], line: Input[Model], slope: float, metrics: Output[Metrics]
) -> str:
    """Root mean square error of the line on the points."""
    import csv
    import json
    import math

    with open(line.path) as file:
        model = json.load(file)
    with open(points.path) as file:
        errors = [
            float(row["y"]) - model["slope"] * float(row["x"]) - model["intercept"]
            for row in csv.DictReader(file)
        ]
    rmse = math.sqrt(sum(error * error for error in errors) / len(errors))
    metrics.log_metric("rmse", rmse)
    return f"slope {slope}, error {rmse:.3f} on {len(errors)} points"


@dsl.pipeline(name="fit-line")
def fit_line(rows: int = 200, noise: float = 0.3) -> str:
    made = make_points(rows=rows, noise=noise)
    fitted = fit(points=made.outputs["points"])
    judged = judge(
        points=made.outputs["points"], line=fitted.outputs["line"], slope=fitted.outputs["slope"]
    )
    return judged.outputs["Output"]


if __name__ == "__main__":
    compiler.Compiler().compile(fit_line, __file__.replace(".py", ".yaml"))
