"""Counts the processes that install Python packages on behalf of a data directory."""

import os
import pathlib
import threading

from harness import belongs_to

PROGRAMS = {"pip", "pip3", "uv", "virtualenv"}
MODULES = {"pip", "venv", "ensurepip", "virtualenv", "uv"}


def is_installer(words):
    """Whether a command line is one of pip, uv or the maker of a virtual environment."""
    if any(os.path.basename(word) in PROGRAMS for word in words[:2]):
        return True
    return any(flag == "-m" and module in MODULES for flag, module in zip(words[:6], words[1:7]))


def installers_of(data_dir, known=()):
    """pid -> command line of those that run now and are not `known`."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in known:
            continue
        try:
            line = pathlib.Path("/proc", entry, "cmdline").read_bytes()
        except OSError:
            continue
        words = [word.decode(errors="replace") for word in line.split(b"\0")]
        if is_installer(words) and belongs_to(int(entry), data_dir):
            found[int(entry)] = " ".join(words)[:300]
    return found


class InstallerWatch:
    """Looks at the process table every few milliseconds; an installer lives for some hundred."""

    def __init__(self, data_dir):
        self.data_dir = data_dir
        self.seen = {}  # pid -> command line
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    @property
    def count(self):
        return len(self.seen)

    def _watch(self):
        while not self.over.wait(0.01):
            self.seen.update(installers_of(self.data_dir, self.seen))
