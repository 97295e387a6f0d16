#!/usr/bin/env python3
"""Fails when a file of the project holds words that tie it to one machine or one mirror, or work left
for later without a place. A pattern is written so that it does not match itself."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

FORBIDDEN = {
    r"(?<![\w.])/(home|root|Users)[/]\w+/": "absolute path of a machine; start at the project's root",
    r"\bpypi[.]org|files[.]pythonhosted": "registry host; packages go by name",
    r"\bdeb[.]debian|\bsecurity[.]debian": "registry host; packages go by name",
    r"\bregistry[.]npmjs|\bnpmjs[.]": "registry host; packages go by name",
    r"\bproxy[.]golang": "registry host; packages go by name",
    r"\bTODO(?!\()\b": "a TODO needs a place in docs/plan.md instead",
}
# (path, pattern) pairs that are right as they are.
ALLOWED = {("tools/check_words.py", r"\bTODO(?!\()\b"),
           ("tests/conformance", r"(?<![\w.])/(home|root|Users)[/]\w+/")}
BINARY = {".png", ".zip", ".gz", ".ico", ".woff2"}


def project_files():
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(name for name in names.split("\0") if name)


def is_allowed(name, pattern):
    return any(name.startswith(path) and pattern == allowed for path, allowed in ALLOWED)


def main():
    faults = 0
    for name in project_files():
        path = ROOT / name
        if path.suffix in BINARY or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for pattern, why in FORBIDDEN.items():
                found = re.search(pattern, line)
                if found and not is_allowed(name, pattern):
                    print(f"{name}:{number}: '{found[0]}': {why}")
                    faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
