#!/usr/bin/env python3
"""Writes docs/checklist.md: which test covers which row of the compatibility checklists. With --check
also compares with docs/checklist_gaps.md, which says why some rows have none.

A test says so in a comment or string: `row: E190` (execution), `row: A218` (API); several rows go on
one line, ranges as `A55-A60`. Usage: tools/checklist.py [--check]
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "checklist.md"
GAPS = ROOT / "docs" / "checklist_gaps.md"
LAST = 258  # row of the execution checklist
MARK = re.compile(r"\brow:((?:[ ,]+[AE]\d+(?:-[AE]?\d+)?)+)")
CASE = re.compile(r"^\s*(?:TEST(?:_[FP])?\(\s*(\w+)\s*,\s*(\w+)|def (test_\w+))")
HEAD = """# Checklist

Rows of the two compatibility checklists, E for execution and A for the API, and the tests that cover
them. Written by `tools/checklist.py` from the marks in the tests; a row that is not here has no test.

"""


def rows_of(text):
    for word in re.split(r"[ ,]+", text.strip()):
        first, _, last = word.partition("-")
        last = last.lstrip("AE") or first[1:]
        for number in range(int(first[1:]), int(last) + 1):
            yield first[0], number


def cases():
    """(kind, row, test) for every mark; the test is the one that encloses or follows the mark."""
    paths = [*(ROOT / "src").rglob("*_test.cc"), *(ROOT / "tests").rglob("*.py"),
             *(ROOT / "tests").rglob("*.txt"), *(ROOT / "tests").rglob("*.cc"),
             *(ROOT / "tests").rglob("*.yaml")]
    for path in sorted(paths):
        lines = path.read_text().splitlines()
        where = str(path.relative_to(ROOT))
        names = []
        for line in lines:
            found = CASE.match(line)
            names.append((found[3] or f"{found[1]}.{found[2]}") if found else None)
        for number, line in enumerate(lines):
            for mark in MARK.finditer(line):
                stands_alone = line.lstrip().startswith(("//", "#", "@", "("))
                after = next((n for n in names[number:number + 12] if n), None)
                before = next((n for n in reversed(names[:number + 1]) if n), None)
                indented = line[:1].isspace()
                name = (before if indented or not stands_alone else after) or before or after
                for kind, row in rows_of(mark[1]):
                    yield kind, row, f"{where}::{name}" if name else where


def gap_faults():
    """Rows of the execution checklist that are neither tested nor explained, or both."""
    tested = {row for kind, row, _ in cases() if kind == "E"}
    listed = set()
    for line in GAPS.read_text().splitlines():
        if line.startswith("| E"):
            listed |= {row for _, row in rows_of(line.split("|")[1])}
    for row in sorted(set(range(1, LAST + 1)) - tested - listed):
        yield f"E{row} has no test; mark one, or say why in docs/checklist_gaps.md"
    for row in sorted(tested & listed):
        yield f"E{row} has a test now: take it off docs/checklist_gaps.md"


def render():
    table = {}
    for kind, row, test in cases():
        table.setdefault((kind, row), set()).add(test)
    text = HEAD
    for kind, title in (("E", "Execution"), ("A", "API")):
        rows = sorted(row for k, row in table if k == kind)
        text += f"## {title}: {len(rows)} rows\n\n| row | tests |\n|---|---|\n"
        for row in rows:
            tests = "<br>".join(sorted(table[kind, row]))
            text += f"| {kind}{row} | {tests} |\n"
        text += "\n"
    return text.rstrip("\n") + "\n"


def main():
    text = render()
    if "--check" in sys.argv[1:]:
        faults = list(gap_faults())
        if faults:
            print("\n".join(faults))
        if TARGET.exists() and TARGET.read_text() == text:
            return 1 if faults else 0
        print("docs/checklist.md does not match the marks in the tests; run: tools/checklist.py")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
