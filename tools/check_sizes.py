#!/usr/bin/env python3
"""Names files and functions that have outgrown what fits a reader's head. Advice: never fails."""

import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES = {".h": 300, ".cc": 700, "_test.cc": 800}
FUNCTION_LINES = 60
INCLUDES_IN_HEADER = 12


def limit_of(path):
    return LINES["_test.cc" if path.name.endswith("_test.cc") else path.suffix]


def long_functions(paths):
    """(path, line, name, lines) of each function over the limit; empty without ctags."""
    ctags = shutil.which("ctags")
    if not ctags:
        return
    words = [ctags, "-x", "--c++-kinds=f", "--_xformat=%F\t%n\t%{end}\t%N", *map(str, paths)]
    for row in subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines():
        path, start, end, name = row.split("\t")
        if end.isdigit() and int(end) - int(start) + 1 > FUNCTION_LINES:
            yield path, int(start), name, int(end) - int(start) + 1


def main():
    paths = sorted(p for p in (ROOT / "src").rglob("*") if p.suffix in (".h", ".cc"))
    for path in paths:
        text = path.read_text()
        name, lines = path.relative_to(ROOT), text.count("\n")
        if lines > limit_of(path):
            print(f"{name}: {lines} lines, want at most {limit_of(path)}")
        includes = len(re.findall(r"^#include", text, re.MULTILINE))
        if path.suffix == ".h" and includes > INCLUDES_IN_HEADER:
            print(f"{name}: {includes} includes, want at most {INCLUDES_IN_HEADER}")
    for path, line, name, lines in long_functions(paths):
        print(f"{pathlib.Path(path).relative_to(ROOT)}:{line}: {name} has {lines} lines, "
              f"want at most {FUNCTION_LINES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
