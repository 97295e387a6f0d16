#!/usr/bin/env python3
"""Fails when a document names a file or function that does not exist.

In the documents below, `src/room/file.cc`, `tools/name` and the like in backticks must be files or
folders, and `src/room/file.cc::Function` must name something that stands in that file. The table of
rooms in ARCHITECTURE.md must list the rooms of src/ROOMS in their order.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/**/*.md", "src/*/README.md"]
NAME = re.compile(r"`((?:src|tools|tests|docs|proto|cmake|examples)/[\w./+-]*)(?:::([\w:~]+))?`")


def fault_of(name, symbol):
    path = ROOT / name
    if not path.exists():
        return f"there is no '{name}'"
    if symbol and not re.search(rf"\b{re.escape(symbol.split('::')[-1])}\b", path.read_text()):
        return f"'{name}' has no '{symbol}'"
    return None


def rooms_fault():
    rooms = re.findall(r"^(\w+):", (ROOT / "src" / "ROOMS").read_text(), re.MULTILINE)
    table = (ROOT / "ARCHITECTURE.md").read_text().split("## Rooms")[1].split("##")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    return None if listed == rooms else f"rooms are {' '.join(listed)}, want {' '.join(rooms)}"


def main():
    faults = 0
    if rooms_fault():
        print(f"ARCHITECTURE.md: {rooms_fault()}")
        faults += 1
    for pattern in DOCUMENTS:
        for document in sorted(ROOT.glob(pattern)):
            for number, line in enumerate(document.read_text().splitlines(), 1):
                for name, symbol in NAME.findall(line):
                    fault = fault_of(name, symbol)
                    if fault:
                        print(f"{document.relative_to(ROOT)}:{number}: {fault}")
                        faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
