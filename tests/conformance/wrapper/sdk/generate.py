"""What the releases of the SDK write before a Python component, in every form that their options can
give it: `<version>.json` beside this file, for the versions where a form changed.

    python3 -m venv /tmp/kfp && /tmp/kfp/bin/pip install kfp==2.9.0 && /tmp/kfp/bin/python generate.py

What is wanted is not taken from our own grammar: the install script is split as a shell would.
"""

import inspect
import json
import pathlib
import shlex
import tempfile
import warnings

import kfp
import yaml
from kfp import compiler, dsl

warnings.filterwarnings('ignore')
INDEXES = ['https://a.example/simple', 'https://b.example/simple', 'https://c.example/simple']
GIT = 'git+https://git.example/kfp@{}#subdirectory=sdk/python'
FORMS = {
    'plain': {},
    'packages': dict(packages_to_install=['six==1.16.0', "yapf>=0.30; python_version<'3.12'", 'a"b']),
    'one_index': dict(packages_to_install=['six'], pip_index_urls=INDEXES[:1]),
    'three_indexes': dict(packages_to_install=['six'], pip_index_urls=INDEXES),
    'hosts': dict(packages_to_install=['six'], pip_index_urls=INDEXES[:2],
                  pip_trusted_hosts=['a.example', 'b.example']),
    'no_hosts': dict(packages_to_install=['six'], pip_index_urls=INDEXES[:1], pip_trusted_hosts=[]),
    'venv': dict(packages_to_install=['six'], use_venv=True),
    'venv_plain': dict(use_venv=True),
    'venv_without_kfp': dict(packages_to_install=['six'], use_venv=True, install_kfp_package=False),
    'without_kfp': dict(packages_to_install=['six'], install_kfp_package=False),
    'nothing': dict(install_kfp_package=False),
    'own_kfp': dict(packages_to_install=['kfp==2.7.0', 'six']),
    'kfp_kubernetes': dict(packages_to_install=['kfp-kubernetes']),
    'kfp_from_git': dict(kfp_package_path=GIT.format('master')),
    'kfp_from_pull_request': dict(kfp_package_path=GIT.format('refs/pull/1/merge')),
    'kfp_from_folder': dict(kfp_package_path='/tmp'),
    'flag_among_packages': dict(packages_to_install=['--no-deps', 'six']),
    'requirements_file': dict(packages_to_install=['-r', '/x/requirements.txt']),
    'urls_and_paths': dict(packages_to_install=['git+https://git.example/x@v1#egg=x', '/abs/x.whl']),
}
VALUED = {'--index-url', '--extra-index-url', '--trusted-host'}
IGNORED = {'--quiet', '--no-warn-script-location'}


def echo(name: str = 'x') -> str:
    return name


def call_of(words):
    call, rest = {'options': [], 'packages': []}, iter(words)
    for word in rest:
        if word in IGNORED:
            continue
        if word in VALUED:
            call['options'] += [word, next(rest)]
        else:
            call['options' if word.startswith('-') else 'packages'].append(word)
    return call


def wanted(command):
    """None for no install script, and for pip options that speak of files."""
    if len(command) != 7 or "'-r'" in command[2]:
        return None
    lines = command[2].replace(' && ', '\n').splitlines()
    start = 'PIP_DISABLE_PIP_VERSION_CHECK=1 '
    lines = [line.strip().removeprefix(start) for line in lines]
    calls = [call_of(shlex.split(line)[4:]) for line in lines
             if line.startswith('python3 -m pip install')]
    return {'calls': calls, 'use_venv': any('-m venv' in line for line in lines)}


def main():
    known = inspect.signature(dsl.component).parameters
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in FORMS.items():
            if not set(options) <= set(known):
                continue
            package = pathlib.Path(folder) / f'{name}.yaml'
            compiler.Compiler().compile(dsl.component(echo, **options), str(package))
            spec = next(iter(yaml.safe_load_all(package.read_text())))
            (executor,) = spec['deploymentSpec']['executors'].values()
            command = [*executor['container']['command'][:-1], 'the source']
            cases[name] = {'command': command, 'want': wanted(command)}
    target = pathlib.Path(__file__).parent / f'{kfp.__version__}.json'
    target.write_text(json.dumps(cases, indent=1) + '\n')
    print(target.name, len(cases))


if __name__ == '__main__':
    main()
