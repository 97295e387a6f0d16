"""Components that were not written in the pipeline's own file: YAML of this and of the first
version, from text, from a file and from an address; pipelines used as components; notebooks and
embedded files; Python components that live in an image."""

import functools
import http.server
import subprocess
import sys
import threading

import pytest
from kfp import components, dsl

from harness import caudal, report_of

V1 = """
name: Count words
inputs:
- {name: Text, type: String}
- {name: Times, type: Integer, default: '2', optional: true}
- {name: Suffix, type: String, optional: true}
outputs:
- {name: Count, type: Integer}
- {name: Copy, type: Dataset}
implementation:
  container:
    image: alpine
    command:
    - sh
    - -ec
    - |
      mkdir -p "$(dirname "$2")" "$(dirname "$3")"
      printf %s "$(($(printf %s "$0" | wc -w) * $1))" > "$2"
      printf '%s|%s' "$0" "$4" > "$3"
    args:
    - {inputValue: Text}
    - {inputValue: Times}
    - {outputPath: Count}
    - {outputPath: Copy}
    - if:
        cond: {isPresent: Suffix}
        then: [{concat: ['<', {inputValue: Suffix}, '>']}]
        else: [none]
"""


@dsl.component
def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def address(tmp_path):
    """Serves `tmp_path` on the loopback."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def run(server, client_of, pipeline, **arguments):
    run = client_of(server).create_run_from_pipeline_func(pipeline, arguments,
                                                          enable_caching=False)
    report = server.wait(run.run_id, timeout=120)
    assert report["state"] == "SUCCEEDED", report
    return report


def test_first_version_yaml(server, client_of):
    """The SDK translates it: defaults, optional inputs, concat and if in its command line."""
    # row: E64 E197 E198
    count = components.load_component_from_text(V1)

    @dsl.pipeline(name="first-version")
    def pipeline(text: str = "to be or not") -> int:
        counted = count(text=text)
        count(text=text, times=3, suffix="end")
        return counted.outputs["count"]

    report = run(server, client_of, pipeline)
    assert report["outputs"] == {"Output": 8}
    tasks = {task["path"]: task for task in report["tasks"]}
    assert tasks["count-words-2"]["outputs"]["count"] == 12
    texts = [open(tasks[name]["artifacts"]["copy"]["artifacts"][0]["path"]).read()
             for name in ("count-words", "count-words-2")]
    assert texts == ["to be or not|none", "to be or not|<end>"]


def test_from_file_and_from_address(server, client_of, tmp_path, address):
    """A component and a whole pipeline, saved by one project and loaded by another."""
    from kfp import compiler

    @dsl.pipeline(name="quadruple")
    def quadruple(number: int) -> int:
        return double(number=double(number=number).output).output

    compiler.Compiler().compile(double, str(tmp_path / "double.yaml"))
    compiler.Compiler().compile(quadruple, str(tmp_path / "quadruple.yaml"))
    from_file = components.load_component_from_file(str(tmp_path / "double.yaml"))
    from_address = components.load_component_from_url(f"{address}/quadruple.yaml")

    @dsl.pipeline(name="elsewhere")
    def pipeline(number: int = 5) -> int:
        return from_address(number=from_file(number=number).output).output

    assert run(server, client_of, pipeline)["outputs"] == {"Output": 40}


def test_embedded_files(server, client_of, tmp_path):
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "greeting.txt").write_text("hello from inside")

    @dsl.component(embedded_artifact_path=str(folder))
    def read(assets: dsl.EmbeddedInput[dsl.Dataset]) -> str:
        import os
        return open(os.path.join(assets.path, "greeting.txt")).read()

    @dsl.pipeline(name="embedded")
    def pipeline() -> str:
        return read().output

    assert run(server, client_of, pipeline)["outputs"] == {"Output": "hello from inside"}


CONTAINERIZED = """
from kfp import dsl

@dsl.component(base_image="python:3.11", target_image="example/in-image:v1")
def add(a: int, b: int) -> int:
    return a + b

@dsl.pipeline(name="containerized")
def pipeline() -> int:
    return add(a=1, b=2).output
"""


def test_containerized_python(server, tmp_path):
    """Without its image a component runs where its module is found, and says so elsewhere."""
    # row: E217
    (tmp_path / "in_image.py").write_text(CONTAINERIZED)
    code = "import in_image, kfp.compiler as c; c.Compiler().compile(in_image.pipeline, 'p.yaml')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    package = tmp_path / "p.yaml"
    with_code = caudal("run", package, "--with", tmp_path, "--server", server.url, "--json",
                       "--no-cache", timeout=120)
    assert report_of(with_code)["state"] == "SUCCEEDED", with_code.stderr
    assert report_of(with_code)["outputs"] == {"Output": 3}
    without = caudal("run", package, "--server", server.url, "--json", "--no-cache", timeout=120)
    report = report_of(without)
    assert report["state"] == "FAILED"
    assert "example/in-image:v1" in str(report), report
    assert "--with" in str(report), report
