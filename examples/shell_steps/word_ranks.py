"""Steps without Python: two container components that hand a file on through a pipe of Unix tools.

Caudal runs the commands with the tools of this machine, so no image is pulled and nothing is installed.

Compile it with:  python word_ranks.py
"""

from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Output


@dsl.container_component
def split_words(text: str, words: Output[Dataset]):
    """One word per line, in lower case."""
    return dsl.ContainerSpec(
        image="alpine:3",
        command=["sh", "-c", 'printf "%s" "$0" | tr A-Z a-z | tr -cs a-z "\\n" > "$1"'],
        args=[text, words.path],
    )


@dsl.container_component
def rank(words: Input[Dataset], top: int, ranks: Output[Dataset], winner: dsl.OutputPath(str)):
    """Counts equal lines, most frequent first."""
    return dsl.ContainerSpec(
        image="alpine:3",
        command=[
            "sh",
            "-c",
            'sort "$0" | uniq -c | sort -k1,1nr -k2 | head -n "$1" | tee "$2" &&'
            ' head -n 1 "$2" | tr -d " 0-9\\n" > "$3"',
        ],
        args=[words.path, top, ranks.path, winner],
    )


@dsl.pipeline(name="word-ranks")
def word_ranks(text: str = "the river and the sea, the rain and the river", top: int = 3) -> str:
    """Which word occurs most often?"""
    split = split_words(text=text)
    return rank(words=split.outputs["words"], top=top).outputs["winner"]


if __name__ == "__main__":
    compiler.Compiler().compile(word_ranks, __file__.replace(".py", ".yaml"))
