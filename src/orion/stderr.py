"""Standard error that nobody may read. A pipe to a collector that hangs, or a terminal after Ctrl-S, takes nothing
more, and whoever writes to it waits. A node that waits still answers gossip and accepts connections, so that nobody
calls it dead.
"""

import atexit
import io
import os
import select
import sys
import threading
from typing import TextIO, cast

MAX_WAITING_CHARS = 1024 * 1024
LAST_WORDS_S = 2.0


def never_wait() -> None:
    """From here on whatever is written to `sys.stderr`, tracebacks included, is written by a thread. The end of the
    process waits for it, but not for ever.
    """
    stream = sys.stderr
    # None where it was closed at the start: its number may be another file's by now.
    if stream is None or isinstance(stream, Stderr):
        return
    stderr = Stderr(stream)
    sys.stderr = cast("TextIO", stderr)
    atexit.register(stderr.drain, LAST_WORDS_S)


class Stderr(io.TextIOBase):
    """Writes where `stream` does, in order, from a thread. When as much waits as may, more is dropped; how many
    lines these were is said in their place, as soon as anything can be written again.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._fd = stream.fileno()
        # Its lock may be taken again by the thread that has it: a finalizer writes wherever it is run.
        self._changed = threading.Condition()
        self._begun = ""
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._dropped_lines = 0
        self._writing = False
        threading.Thread(target=self._run, name="stderr", daemon=True).start()

    def write(self, text: str) -> int:
        lines, end, begun = text.rpartition("\n")
        with self._changed:
            if end:
                self._take(self._begun + lines + end)
                self._begun = begun
            else:  # `print` and tracebacks come in pieces, and only whole lines are kept or dropped
                self._begun += begun
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def drain(self, seconds: float) -> None:
        """Waits until all is written, at most so long."""
        with self._changed:
            if self._begun:
                self._take(self._begun)
                self._begun = ""
            self._changed.wait_for(lambda: not self._waiting and not self._writing, seconds)

    def _take(self, lines: str) -> None:
        # Behind a gap nothing is taken until all before it is.
        if self._waiting and (self._dropped_lines or self._waiting_chars + len(lines) > MAX_WAITING_CHARS):
            self._dropped_lines += max(1, lines.count("\n"))
        else:
            self._waiting.append(lines)
            self._waiting_chars += len(lines)
            self._changed.notify_all()

    # --- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        failed_lines = 0
        while True:
            text, dropped_lines = self._next()
            before = _missing(failed_lines)
            body = text.encode("utf-8", "backslashreplace")
            data = before + body + _missing(dropped_lines)
            written = self._write(data)
            if written >= len(before):
                failed_lines = 0
            if written < len(data):
                failed_lines += body[max(0, written - len(before)) :].count(b"\n") + dropped_lines

    def _next(self) -> tuple[str, int]:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting)
            self._writing = True
            text, dropped_lines = "".join(self._waiting), self._dropped_lines
            self._waiting.clear()
            self._waiting_chars = self._dropped_lines = 0
        return text, dropped_lines

    def _write(self, data: bytes) -> int:
        """How much of it could be written: all, unless the disk is full or the reader has gone."""
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._fd, data[written : written + _PIECE_BYTES])
                except BlockingIOError:  # whoever shares it has said that nobody is to wait
                    waits = select.poll()
                    waits.register(self._fd, select.POLLOUT)
                    waits.poll()
        except OSError:
            pass
        return written


_PIECE_BYTES = 64 * 1024


def _missing(lines: int) -> bytes:
    """What is said in the place of so many lines."""
    return b"orion: %d lines are missing here: they could not be written\n" % lines if lines else b""
