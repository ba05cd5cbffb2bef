"""Tests side by side (pytest-xdist). What one test does to ports, rules, bridges and an engine must not be seen by
another, so each worker has a network namespace of its own, and in it an engine of its own (support/engine.py).
"""

import ctypes
import os
import subprocess

_CLONE_NEWNET = 0x40000000  # sched.h


def enter() -> None:
    """Called in a worker, before it starts anything: what it starts is in its namespace too. The namespace has no
    name, and ends with the last process in it. Raises OSError where this process may not.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"no network namespace for this worker: {os.strerror(number)}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
