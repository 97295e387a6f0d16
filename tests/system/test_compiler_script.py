"""The script inside the binary that compiles pipelines in Python, piece by piece and without an SDK;
`test_python_run.py` has it whole."""

import importlib.util
import os
import socket
import struct
import subprocess
import sys
import types

import pytest

from harness import ROOT

PATH = ROOT / "src" / "cli" / "compiler" / "caudal_compiler.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("caudal_compiler", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BaseComponent:
    """Stands for the SDK's; the script goes by names."""

    def __init__(self, function=None):
        self.python_func = function


class GraphComponent(BaseComponent):

    def __init__(self, function=None):
        self.pipeline_func = function


def module_of(**members):
    module = types.ModuleType("users")
    vars(module).update(members)
    return module


def function_of(module_name):
    def made():
        pass
    made.__module__ = module_name
    return made


def test_pipelines_come_before_components_and_own_before_imported(script):
    own, other = GraphComponent(function_of("users")), GraphComponent(function_of("elsewhere"))
    step = BaseComponent(function_of("users"))
    choose = script.choose
    assert choose(module_of(own=own, other=other, step=step), "x.py", "") is own
    assert choose(module_of(other=other, step=step), "x.py", "") is other
    assert choose(module_of(step=step), "x.py", "") is step
    assert choose(module_of(own=own, alias=own), "x.py", "") is own
    assert choose(module_of(own=own, step=step), "x.py", "step") is step


@pytest.mark.parametrize("members, function, wanted", [
    ({}, "", "'x.py' defines no pipeline; decorate a function with @dsl.pipeline"),
    ({"a": GraphComponent(), "b": GraphComponent()}, "",
     "'x.py' has 2 pipelines: a, b; name one: caudal run x.py:a"),
    ({"a": GraphComponent()}, "z", "'z' in 'x.py' does not exist; there is: a"),
    ({"a": 1}, "a", "'a' in 'x.py' is no pipeline or component; the file has none"),
])
def test_what_cannot_be_chosen_is_a_fault(script, members, function, wanted):
    with pytest.raises(script.Fault) as fault:
        script.choose(module_of(**members), "x.py", function)
    assert str(fault.value) == wanted


def test_places_follow_the_source_through_decorators_and_indentation(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "def keep(x): return x\nif True:\n    @keep\n    @keep\n    def train(a,\n              b):\n        return a\n"
    (tmp_path / "x.py").write_text(text)
    function = script.load(str(tmp_path / "x.py")).train
    word = "\nimport kfp\n\ndef helper():\n    pass\n\ndef train(a,\n          b):\n    return a\n"
    place = script.place_of(function, ["other", word])
    assert place == {"function": "train", "file": "x.py", "file_line": 5, "source_line": 7,
                     "line_count": 3}
    assert script.place_of(function, [word.replace("return a", "return b")]) is None


def test_a_file_is_loaded_under_its_own_name_without_byte_code(script, tmp_path):
    (tmp_path / "my-file.py").write_text("NAME = __name__\n")
    assert script.load(str(tmp_path / "my-file.py")).NAME == "my-file"
    (tmp_path / "json.py").write_text("NAME = __name__\n")
    import json
    assert script.load(str(tmp_path / "json.py")).NAME == "json_"
    assert sys.modules["json"] is json
    assert not (tmp_path / "__pycache__").exists()


def test_only_the_users_frames_are_told(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.py").write_text(
        "import json\ndef inner():\n    json.loads('{')\ntry:\n    inner()\n"
        "except ValueError as error:\n    raise KeyError('outer') from error\n")
    with pytest.raises(KeyError) as raised:
        script.load(str(tmp_path / "x.py"))
    told = script.explain(raised.value, "x.py")
    assert told.startswith("'x.py' cannot be compiled:\n")
    assert 'File "x.py", line 3, in inner' in told and "KeyError: 'outer'" in told
    assert "json/" not in told and "caudal_compiler" not in told


def test_a_request_brings_environment_and_descriptor(script, tmp_path):
    ours, theirs = socket.socketpair()
    request, variables = b'{"file": "x.py"}', b"A=1\0EMPTY=\0LINES=a\nb\0"
    with open(tmp_path / "out", "w") as file:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file.fileno()))]
        ours.sendmsg([struct.pack("<II", len(request), len(variables)) + request], rights)
        ours.sendall(variables)
    got = script.receive(theirs)
    assert got[0] == {"file": "x.py"} and got[1] == [b"A=1", b"EMPTY=", b"LINES=a\nb"]
    os.write(got[2], b"said")
    os.close(got[2])
    assert (tmp_path / "out").read_text() == "said"


def test_files_go_where_the_caller_wants_them(tmp_path):
    """The process that stays has chosen its own long before, and that one may be gone."""
    code = """
import importlib.util, os, sys, tempfile
spec = importlib.util.spec_from_file_location("caudal_compiler", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
tempfile.gettempdir()
script.take_surroundings({"cwd": sys.argv[2]}, [b"TMPDIR=" + os.fsencode(sys.argv[2])], os.dup(1))
print(tempfile.gettempdir())
"""
    done = subprocess.run([sys.executable, "-c", code, PATH, tmp_path], timeout=30, text=True,
                          capture_output=True)
    assert done.stdout == f"{tmp_path}\n", done.stderr


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\5\0\0\0\0\0\0\0{}"])
def test_a_broken_request_ends_that_request_only(script, data):
    ours, theirs = socket.socketpair()
    ours.sendall(data)
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises((EOFError, ValueError)):
        script.receive(theirs)


SERVE = """
import importlib.util, os, socket, sys
spec = importlib.util.spec_from_file_location("caudal_compiler", sys.argv[1])
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
script.import_sdk = lambda: "2.0"
script.exercise = lambda: None
script.IDLE_SECONDS, script.LOOK_SECONDS = float(sys.argv[3]), 0.01
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
inode = os.stat(sys.argv[2]).st_ino + int(sys.argv[4])
sys.exit(script.serve(listener, sys.argv[2], inode))
"""


@pytest.mark.parametrize("idle_seconds, inode_shift, is_socket_left", [
    (0.1, 0, False),  # idle: takes its socket along
    (600, 1, True),   # another compiler's socket is there now: leaves it alone
])
def test_it_ends_when_idle_and_when_it_was_replaced(tmp_path, idle_seconds, inode_shift,
                                                    is_socket_left):
    path = tmp_path / "s.sock"
    done = subprocess.run([sys.executable, "-c", SERVE, PATH, path, str(idle_seconds),
                           str(inode_shift)], timeout=30)
    assert done.returncode == 0 and path.exists() == is_socket_left
