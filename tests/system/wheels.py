"""Python packages made on the spot, so that tests of environments need no index: wheels of a few
lines, and a kfp that knows just enough of the executor protocol to run a component."""

import zipfile

KFP_VERSION = "9.1.0"

# What `python3 -m kfp.dsl.executor_main` has to do for components with parameters.
EXECUTOR_MAIN = '''
import argparse, importlib.util, json, os

def main():
    parser = argparse.ArgumentParser()
    for flag in ('component_module_path', 'executor_input', 'function_to_execute'):
        parser.add_argument('--' + flag)
    args = parser.parse_args()
    given = json.loads(args.executor_input)
    spec = importlib.util.spec_from_file_location('component', args.component_module_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values = given.get('inputs', {}).get('parameterValues', {})
    result = getattr(module, args.function_to_execute)(**values)
    target = given['outputs']['outputFile']
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, 'w') as file:
        json.dump({'parameterValues': {'Output': result}}, file)

main()
'''

INSTALL = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 %s && "$0" "$@"
"""
RUN = ("program_path=$(mktemp -d)\n\n"
       "printf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\n"
       "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main"
       "                         --component_module_path"
       "                         \"$program_path/ephemeral_component.py\""
       "                         \"$@\"\n")
SOURCE = "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"


def write_wheel(folder, name, version, files, requires=()):
    """`<name>-<version>-py3-none-any.whl` with these files (path -> text)."""
    meta = f"{name}-{version}.dist-info/"
    files = {**files,
             meta + "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                                + "".join(f"Requires-Dist: {word}\n" for word in requires),
             meta + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                             "Tag: py3-none-any\n"}
    record = "".join(f"{path},,\n" for path in [*files, meta + "RECORD"])
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as wheel:
        for path, text in {**files, meta + "RECORD": record}.items():
            wheel.writestr(path, text)
    target.chmod(0o644)
    return target


def write_kfp(folder, version=KFP_VERSION):
    return write_wheel(folder, "kfp", version, {
        "kfp/__init__.py": f"__version__ = '{version}'\n", "kfp/dsl/__init__.py": "",
        "kfp/dsl/executor_main.py": EXECUTOR_MAIN})


def write_tiny(folder, version, name="tiny"):
    """A module that says its version."""
    return write_wheel(folder, name, version, {
        f"{name}.py": f"VERSION = '{version}'\n# {'filler ' * 2000}\n"})


def component(body, packages, kfp=f"kfp=={KFP_VERSION}"):
    """command and args of a component `def work() -> str` as the SDK compiles it."""
    pip = "python3 -m pip install --quiet --no-warn-script-location "
    calls = [pip + " ".join(f"'{package}'" for package in packages)] if packages else []
    calls.append(pip + f"'{kfp}' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'")
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    source = SOURCE + "def work() -> str:\n" + lines
    command = ["sh", "-c", INSTALL % "  &&  ".join(calls), "sh", "-ec", RUN, source]
    return command, ["--executor_input", "{{$}}", "--function_to_execute", "work"]
