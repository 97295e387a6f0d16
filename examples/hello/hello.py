"""The smallest pipeline: one container step, which needs no Python packages.

Compile it with:  python hello.py
"""

from kfp import compiler, dsl


@dsl.container_component
def greet(name: str, greeting: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="alpine:3",
        command=["sh", "-c", 'printf "Hello, %s!" "$0" | tee "$1"'],
        args=[name, greeting],
    )


@dsl.pipeline(name="hello")
def hello(name: str = "world") -> str:
    return greet(name=name).outputs["greeting"]


if __name__ == "__main__":
    compiler.Compiler().compile(hello, __file__.replace(".py", ".yaml"))
