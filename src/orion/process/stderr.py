"""Standard error that never blocks. A pipe to a collector that hangs, or a terminal after Ctrl-S, takes nothing
more, and a write to it waits. A node that waits there still answers gossip and accepts connections, so that the
others do not call it dead.
"""

import atexit
import contextlib
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TextIO, cast

MAX_WAITING_CHARS = 1024 * 1024
LAST_WORDS_S = 2.0


def never_wait() -> None:
    """Lets a thread do all writes to `sys.stderr` from here on, tracebacks included. The end of the process waits
    for the thread, for LAST_WORDS_S at most.
    """
    stream = sys.stderr
    # None when it was closed at the start: its number may be another file's by now.
    if stream is None or isinstance(stream, Stderr):
        return
    stderr = Stderr(stream)
    sys.stderr = cast("TextIO", stderr)
    atexit.register(stderr.end, LAST_WORDS_S)


class Stderr(io.TextIOBase):
    """Writes to the file of `stream`, in order, from a thread. Past MAX_WAITING_CHARS lines are dropped; their
    number is written in their place as soon as the file takes anything again.

    No writer waits for a lock. Any allocation may run a finalizer that logs, so a thread may write here in the
    midst of a write of its own, or while it holds a logging handler's lock that the other writer wants: a wait
    could be a deadlock. A step that comes while another one runs is queued, and the thread that runs that one does
    it too.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._fd = stream.fileno()
        self._steps: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._stepping = threading.Lock()  # guards the fields below; only ever tried, never waited for
        self._begun = ""
        self._waiting_chars = 0
        self._dropped_lines = 0
        # Lines, numbers of lines that are missing in this place, queues to put None into once all before is
        # written, and None at the end.
        self._waiting: SimpleQueue[str | int | SimpleQueue[None] | None] = SimpleQueue()
        self._ended = False  # the thread writes no more
        self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        self._step(self._add, *text.rpartition("\n"))
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def drain(self, seconds: float) -> None:
        """Waits until all is written, for `seconds` at most."""
        written: SimpleQueue[None] = SimpleQueue()
        self._step(self._end, written)
        with contextlib.suppress(Empty):
            written.get(timeout=seconds)

    def end(self, seconds: float) -> None:
        """Drains it, and ends the thread: one that still runs while the interpreter is taken down can crash the
        process. What is written afterwards is written at once.
        """
        until = time.monotonic() + seconds
        self.drain(seconds)
        self._waiting.put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        self._ended = not self._thread.is_alive()

    # --- one step at a time, in whichever thread ------------------------------------------------------------

    def _step(self, step: Callable[..., None], *values: Any) -> None:
        self._steps.append((step, values))
        # Checked again after the release: a step queued just before it was left to this thread.
        while self._steps and self._stepping.acquire(blocking=False):
            try:
                while self._steps:
                    step, values = self._steps.popleft()
                    step(*values)
            finally:
                self._stepping.release()

    def _add(self, lines: str, end: str, begun: str) -> None:
        if end:
            self._take(self._begun + lines + end)
            self._begun = begun
        else:  # `print` and tracebacks come in parts, and only whole lines are kept or dropped
            self._begun += begun

    def _take(self, lines: str) -> None:
        # After a gap nothing is taken until all before it is written.
        if self._ended:
            self._write(lines.encode("utf-8", "backslashreplace"))
        elif self._waiting_chars and (self._dropped_lines or self._waiting_chars + len(lines) > MAX_WAITING_CHARS):
            self._dropped_lines += max(1, lines.count("\n"))
        else:
            self._waiting_chars += len(lines)
            self._waiting.put(lines)

    def _taken(self, chars: int) -> None:
        self._waiting_chars -= chars
        if not self._waiting_chars:
            self._tell_dropped()

    def _end(self, written: "SimpleQueue[None]") -> None:
        if self._begun:
            self._take(self._begun)
            self._begun = ""
        self._tell_dropped()
        self._waiting.put(written)

    def _tell_dropped(self) -> None:
        if self._dropped_lines:
            self._waiting.put(self._dropped_lines)
            self._dropped_lines = 0

    # --- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        missing_lines = 0
        while True:
            lines: list[str] = []
            for each in self._next():
                if isinstance(each, str):
                    lines.append(each)
                    continue
                missing_lines = self._write_lines(missing_lines, "".join(lines))
                lines.clear()
                if each is None:
                    return
                if isinstance(each, int):
                    missing_lines += each
                else:
                    each.put(None)
            missing_lines = self._write_lines(missing_lines, "".join(lines))

    def _next(self) -> list[str | int | SimpleQueue[None] | None]:
        """Takes all that waits, and waits for the first of it."""
        taken = [self._waiting.get()]
        while not self._waiting.empty():
            taken.append(self._waiting.get())
        self._step(self._taken, sum(len(each) for each in taken if isinstance(each, str)))
        return taken

    def _write_lines(self, missing_lines: int, lines: str) -> int:
        """Writes the number of lines missing before, then `lines`. Returns the number of lines missing after
        that.
        """
        before = _missing(missing_lines)
        body = lines.encode("utf-8", "backslashreplace")
        written = self._write(before + body)
        if written < len(before):
            return missing_lines + body.count(b"\n")
        return body[written - len(before) :].count(b"\n")

    def _write(self, data: bytes) -> int:
        """Returns how many bytes could be written: all, unless the disk is full or the reader has gone."""
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._fd, data[written : written + _PIECE_BYTES])
                except BlockingIOError:  # another process that shares the file has made it non-blocking
                    waits = select.poll()
                    waits.register(self._fd, select.POLLOUT)
                    waits.poll()
        except OSError:
            pass
        return written


_PIECE_BYTES = 64 * 1024


def _missing(lines: int) -> bytes:
    """Returns the line that stands in the place of missing ones; nothing for none."""
    return b"orion: %d lines are missing here: they could not be written\n" % lines if lines else b""
