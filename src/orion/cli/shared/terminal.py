"""This terminal, given over to a program elsewhere, and back."""

import contextlib
import os
import signal
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType


def is_terminal(fd: int) -> bool:
    return os.isatty(fd)


def window() -> tuple[int, int]:
    """Returns columns and rows; 0 and 0 where nothing here is a terminal."""
    for stream in (sys.__stdout__, sys.__stdin__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(stream.fileno())  # type: ignore[union-attr]
            return size.columns, size.lines
    return 0, 0


@contextlib.contextmanager
def raw(fd: int) -> Iterator[None]:
    """Keys come as they are, Ctrl-C too, and nothing is echoed."""
    before = termios.tcgetattr(fd)
    tty.setraw(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextlib.contextmanager
def window_changes() -> Iterator[int]:
    """Yields a file descriptor that can be read when the window's size has changed."""
    awake, told = socket.socketpair()
    for end in (awake, told):
        end.setblocking(False)
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGWINCH, _heard)
    try:
        yield awake.fileno()
    finally:
        signal.signal(signal.SIGWINCH, handler)
        signal.set_wakeup_fd(wakeup)
        awake.close()
        told.close()


def _heard(number: int, frame: FrameType | None) -> None:
    del number, frame  # the file descriptor tells
