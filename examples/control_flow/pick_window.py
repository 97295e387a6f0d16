"""A search with everything that steers a pipeline.

A sensor is read (the first attempt fails, and is retried), each candidate window smooths its series in a loop of
its own, two at a time; the errors are collected, the best window is picked, and what happens next depends on how
good it is. Whatever happens, the exit handler writes down how it went.

    caudal run examples/control_flow/pick_window.py
    caudal run examples/control_flow/pick_window.py -p tolerance=0.01
"""

from typing import List

from kfp import compiler, dsl


@dsl.component(base_image="python:3.11")
def read_sensor(days: int, series: dsl.Output[dsl.Dataset]):
    """Fails the first time, as sensors do."""
    import math
    import os
    import random

    if int(os.environ["KFP_RETRY_INDEX"]) == 0:
        raise ConnectionError("the sensor did not answer")
    noise = random.Random(7)
    values = [math.sin(day / 9) + noise.gauss(0, 0.3) for day in range(days)]
    with open(series.path, "w") as file:
        file.write("\n".join(f"{value:.6f}" for value in values))


@dsl.component(base_image="python:3.11")
def error_of(window: int, series: dsl.Input[dsl.Dataset]) -> float:
    """Mean error of the moving average against the curve that the sensor measures."""
    import math

    values = [float(line) for line in open(series.path)]
    errors = []
    for day in range(window, len(values) - window):
        mean = sum(values[day - window:day + window + 1]) / (2 * window + 1)
        errors.append(abs(mean - math.sin(day / 9)))
    error = round(sum(errors) / len(errors), 4)
    print(f"window {window}: {error}")
    return error


@dsl.component(base_image="python:3.11")
def best_of(windows: List[int], errors: List[float]) -> dict:
    error, window = min(zip(errors, windows))
    return {"window": window, "error": error}


@dsl.component(base_image="python:3.11")
def field(of: dict, name: str) -> float:
    return of[name]


@dsl.container_component
def publish(window: float, error: float, verdict: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="alpine", command=["sh", "-ec", 'printf "use window %s, error %s" "$0" "$1" > "$2"'],
        args=[window, error, verdict])


@dsl.container_component
def ask_for_data(error: float, verdict: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="alpine", command=["sh", "-ec", 'printf "error %s: more data needed" "$0" > "$1"'],
        args=[error, verdict])


@dsl.component(base_image="python:3.11")
def announce(verdict: str) -> str:
    print(verdict)
    return verdict


@dsl.component(base_image="python:3.11")
def write_down(status: dsl.PipelineTaskFinalStatus):
    print(f"{status.pipeline_task_name} ended {status.state}: {status.error_message or 'no error'}")


@dsl.pipeline(name="pick-window")
def pick_window(days: int = 200, windows: List[int] = [1, 2, 4, 8, 16], tolerance: float = 0.2):
    with dsl.ExitHandler(write_down()):
        sensor = read_sensor(days=days).set_retry(
            num_retries=3, backoff_duration="1s", backoff_factor=1.5)
        with dsl.ParallelFor(windows, parallelism=2) as window:
            error = error_of(window=window, series=sensor.outputs["series"])
        best = best_of(windows=windows, errors=dsl.Collected(error.output))
        lowest = field(of=best.output, name="error")
        with dsl.If(lowest.output <= tolerance):
            good = publish(window=field(of=best.output, name="window").output,
                           error=lowest.output)
        with dsl.Else():
            poor = ask_for_data(error=lowest.output)
        verdict = dsl.OneOf(good.outputs["verdict"], poor.outputs["verdict"])
        announce(verdict=verdict)


if __name__ == "__main__":
    compiler.Compiler().compile(pick_window, __file__.replace(".py", ".yaml"))
