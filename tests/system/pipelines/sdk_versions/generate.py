"""The pipeline that every release of the SDK compiled for us: `<version>.yaml` beside this file.

To add a version: install that kfp into a virtual environment and run this file with its Python. It
says which release wrote what, in the file itself (`sdkVersion`), so the tests need no old SDK.

    python3 -m venv /tmp/kfp && /tmp/kfp/bin/pip install kfp==2.9.0 && /tmp/kfp/bin/python generate.py
"""

import pathlib
from typing import NamedTuple

import kfp
from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component
def make(rows: int, word: str, scale: float, names: list, options: dict, wide: bool,
         data: Output[Dataset]) -> NamedTuple('Made', [('total', int), ('label', str)]):
    import collections
    import json
    with open(data.path, 'w') as file:
        for number in range(rows):
            file.write(json.dumps({'x': number * scale, 'name': names[number % len(names)]}) + '\n')
    data.metadata['rows'] = rows
    made = collections.namedtuple('Made', ['total', 'label'])
    return made(rows, f'{word}-{options["k"]}-{wide}')


@dsl.component(packages_to_install=['six==1.16.0'])
def train(data: Input[Dataset], total: int, label: str, model: Output[Model]) -> str:
    import json
    import os

    import six
    with open(data.path) as file:
        lines = [json.loads(line) for line in file]
    assert len(lines) == total, (len(lines), total)
    with open(model.path, 'w') as file:
        file.write(six.ensure_str(f'{label}:{sum(line["x"] for line in lines)}'))
    model.metadata['framework'] = f'six {six.__version__}'
    return f'{os.path.basename(data.path)} {data.metadata["rows"]} {data.uri.split("://")[0]}'


@dsl.component
def judge(model: Input[Model], note: str) -> bool:
    with open(model.path) as file:
        text = file.read()
    print('model says', text, 'and the step before', note)
    return text.startswith('hi-v-True:') and model.metadata['framework'] == 'six 1.16.0'


@dsl.pipeline(name='sdk-version')
def pipeline(rows: int = 4, word: str = 'hi'):
    made = make(rows=rows, word=word, scale=0.5, names=['a', 'b'], options={'k': 'v'}, wide=True)
    trained = train(data=made.outputs['data'], total=made.outputs['total'],
                    label=made.outputs['label'])
    judge(model=trained.outputs['model'], note=trained.outputs['Output'])


if __name__ == '__main__':
    target = pathlib.Path(__file__).parent / f'{kfp.__version__}.yaml'
    compiler.Compiler().compile(pipeline, str(target))
    print(target.name)
