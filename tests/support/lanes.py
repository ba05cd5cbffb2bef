"""Tests side by side (pytest-xdist). What one test does to ports, rules, bridges and an engine must not be seen by
another, so each worker has a network namespace of its own, and in it an engine of its own (support/engine.py). The
workers of several runs on one machine have different numbers.
"""

import ctypes
import fcntl
import os
import subprocess
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # sched.h
_LOCKS = Path("/run/lock")
_MOST = 100
_VARIABLE = "ORION_TEST_LANE"


def name() -> str:
    """Of the lane that this process is in, as -3; "" in none."""
    return os.environ.get(_VARIABLE, "")


def enter() -> None:
    """Called in a worker, before it starts anything: what it starts is in its namespace too. The namespace has no
    name, and ends with the last process in it. Raises OSError where this process may not.
    """
    number = _take_number()
    os.environ[_VARIABLE] = f"-{number}"
    # Else iptables-legacy takes turns with that of the other lanes, and fails where it is not told to wait.
    os.environ["XTABLES_LOCKFILE"] = str(_LOCKS / f"orion-test-lane-{number}.xtables")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"no network namespace for this worker: {os.strerror(error)}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)


def _take_number() -> int:
    """The lowest that is free, until this process ends. Whoever had it before may have left an engine there."""
    for number in range(_MOST):
        held = os.open(_LOCKS / f"orion-test-lane-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            continue
        return number
    raise OSError(f"all of {_MOST} lanes are taken")
