"""A command on a real pseudo-terminal, and what its user sees."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

from harness import BINARY

PATIENCE = 60


class Terminal:
    """One `caudal` command whose three standard streams are a terminal of its own."""

    def __init__(self, words, rows=40, columns=240, env=None, cwd=None):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.frames = []  # what the screen held after each piece of output
        self.master, slave = pty.openpty()
        self.set_size(rows, columns)
        names = {"TERM": "xterm-256color", "NO_COLOR": ""}
        self.process = subprocess.Popen(
            [str(BINARY), *map(str, words)], stdin=slave, stdout=slave, stderr=slave, cwd=cwd,
            env={**os.environ, **names, **(env or {})}, close_fds=True, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.drain()  # what was written for the old size is shown at that size
        self.set_size(rows, columns)
        self.screen.resize(rows, columns)

    def press(self, keys):
        os.write(self.master, keys)

    def press_until(self, keys, wanted):
        """Again after a second: two of the same in a moment count as one."""
        end = time.monotonic() + PATIENCE
        while not re.search(wanted, self.text(), re.MULTILINE):
            assert time.monotonic() < end, f"still no {wanted!r}:\n{self.text()}"
            self.press(keys)
            until = time.monotonic() + 1
            while time.monotonic() < until and not re.search(wanted, self.text(), re.MULTILINE):
                self.read(0.05)

    def text(self):
        """The lines on the screen without what is blank at their end and at the bottom."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n") + "\n"

    def read(self, timeout):
        """Takes one piece of output in; False when there will be no more."""
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # the last one has closed the terminal
            return False
        if not piece:
            return False
        self.written += piece
        self.stream.feed(piece)
        self.frames.append(self.text())
        return True

    def wait_for(self, wanted):
        """The screen once it holds `wanted`, a regular expression."""
        end = time.monotonic() + PATIENCE
        while not re.search(wanted, self.text(), re.MULTILINE):
            assert self.read(0.1), f"ended without {wanted!r}:\n{self.text()}"
            assert time.monotonic() < end, f"still no {wanted!r}:\n{self.text()}"
        return self.text()

    def end(self):
        """The exit code, after everything was shown."""
        end = time.monotonic() + PATIENCE
        while self.read(0.1):
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
            assert time.monotonic() < end, f"does not end:\n{self.text()}"
        return self.process.wait(PATIENCE)

    def drain(self):
        """Takes in all that was written so far."""
        while select.select([self.master], [], [], 0)[0] and self.read(0):
            pass

    def is_cursor_hidden(self):
        self.drain()
        return self.screen.cursor.hidden

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)


class Rules:
    """What differs from one run to the next, and what stands for it in a golden file. Nothing else
    is changed."""

    def __init__(self, *folders):
        """`folders` are (path, name)."""
        self.folders = folders

    def apply(self, text):
        for path, name in self.folders:
            text = text.replace(str(path), name)
        text = re.sub(r"127\.0\.0\.1:\d+", "HOST", text)
        text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "RUN-ID", text)
        text = re.sub(r"(run|run show|run logs|run watch|run retry|cached from) [0-9a-f]{8}\b", r"\1 RUN-ID", text)
        text = re.sub(r"objects/[0-9a-f]{2}/\d+/", "objects/KEY/", text)
        text = re.sub(r"\b\d+ ms\b|\b\d+\.\d s\b", "TIME", text)
        text = re.sub(r"about \d+ (s|min)", "about TIME", text)
        return re.sub(r"python 3\.\d+", "python 3.N", text)
