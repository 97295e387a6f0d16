"""A step that imports your own package, which is not installed anywhere.

`--with` puts a snapshot of the folder `prose` on the module path of every step. The snapshot is kept by
the digest of its content, so that the run's record says exactly which code ran:

    caudal run examples/local_code/reading_ease.yaml --with examples/local_code/prose

Compile it with:  python reading_ease.py
"""

from kfp import compiler, dsl


@dsl.component(base_image="python:3.11")
def measure(text: str) -> float:
    """Words per sentence, counted by the package beside this file."""
    import prose

    ease = prose.reading_ease(text)
    print(f"{len(prose.words(text))} words in {len(prose.sentences(text))} sentences")
    return ease


@dsl.pipeline(name="reading-ease")
def reading_ease(text: str = "The rain falls. The river rises! Will the bridge hold?") -> float:
    return measure(text=text).output


if __name__ == "__main__":
    compiler.Compiler().compile(reading_ease, __file__.replace(".py", ".yaml"))
