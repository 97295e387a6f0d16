#!/usr/bin/env python3
"""Fails when a room of src/ includes what src/ROOMS does not allow.

A room may include its own headers and those of the rooms it lists; generated messages count as room
`wire`. Nobody includes another room's internal/. Headers under testing/ are for tests, from any room.
The USES of a room's CMakeLists.txt must be allowed too.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
USES = re.compile(r"\bUSES\s+((?:[a-z_]+\s*)+)")


def read_rooms(path):
    """room -> rooms it may include, in the order of the file."""
    rooms = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, colon, allowed = line.partition(":")
        if not colon:
            sys.exit(f"{path}:{number}: want 'room: rooms it may include', got '{line}'")
        for other in allowed.split():
            if other not in rooms:
                sys.exit(f"{path}:{number}: room '{name}' names '{other}', which is not above it")
        rooms[name.strip()] = set(allowed.split())
    return rooms


def is_test(path):
    return path.name.endswith(("_test.cc", "_bench.cc", "_fuzz.cc")) or "testing" in path.parts


def fault_of(include, path, room, rooms):
    """Why `path` of `room` may not include `include`, or None."""
    parts = pathlib.PurePosixPath(include).parts
    target = parts[0]
    if include.endswith(".pb.h") and (ROOT / "proto" / include[:-5]).with_suffix(".proto").exists():
        target, parts = "wire", ()
    if target not in rooms:
        return None
    if "testing" in parts:
        return None if is_test(path) else "testing headers are for tests only"
    if target == room:
        return None
    if "internal" in parts:
        return f"internal headers of '{target}' are its own"
    if target not in rooms[room]:
        return f"src/ROOMS does not let '{room}' include '{target}'"
    return None


def check_room(folder, rooms):
    room = folder.name
    if room not in rooms:
        yield f"src/{room}: not listed in src/ROOMS"
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            fault = fault_of(match[1], path, room, rooms)
            if fault:
                line = text.count("\n", 0, match.start(1)) + 1
                yield f'{path.relative_to(ROOT)}:{line}: "{match[1]}": {fault}'
    build = folder / "CMakeLists.txt"
    uses = USES.search(build.read_text()) if build.exists() else None
    for used in uses[1].split() if uses else []:
        if used in rooms and used not in rooms[room]:
            yield f"{build.relative_to(ROOT)}: USES {used}: src/ROOMS does not let '{room}' use it"


def main():
    rooms = read_rooms(ROOT / "src" / "ROOMS")
    faults = [
        fault
        for folder in sorted((ROOT / "src").iterdir())
        if folder.is_dir()
        for fault in check_room(folder, rooms)
    ]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
