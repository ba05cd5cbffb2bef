"""75 seconds of script/chaos: everything that may go wrong, to five real nodes with an engine each.

ORION_CHAOS_SECONDS (75) says how long, ORION_CHAOS_SEED (1) which faults.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.root]

SECONDS = float(os.environ.get("ORION_CHAOS_SECONDS", "75"))
SEED = os.environ.get("ORION_CHAOS_SEED", "1")
AROUND_S = 360  # to make all of it, converge and remove all of it
TESTS = Path(__file__).parents[1]


def command(seconds: float, *more: str) -> list[str]:
    return [sys.executable, "-m", "chaos", "--seed", SEED, "--seconds", f"{seconds:g}", *more]


def environment() -> dict[str, str]:
    path = [str(TESTS.parent / "src"), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def traces() -> set[str]:
    found = [*Path("/var/run/netns").glob("ocx*"), *Path("/var/lib").glob("orion-chaos-*")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {str(path) for path in found} | {line.split()[4] for line in mounts if "orion-chaos-" in line}


def test_no_fault_of_a_chaos_run_violates_a_promise():
    before = traces()
    ended = subprocess.run(
        command(SECONDS),
        check=False,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS + AROUND_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "no violations" in ended.stdout
    if SECONDS >= 60:
        assert "never fired" not in ended.stdout, ended.stdout
    print(ended.stdout)
    assert traces() <= before


def test_a_cluster_that_is_wrong_is_found_out(tmp_path):
    """By the histories of /configs: the checker is the simulator's, what it is given comes from real nodes. A slow
    machine may have too few of them in one run.
    """
    for _ in range(3):
        ended = subprocess.run(
            command(10, "--plant", "compare and set without comparing"),
            check=False,
            env=environment() | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=AROUND_S,
        )
        if "linearizability" in ended.stdout:
            break
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "linearizability" in ended.stdout, ended.stdout


def test_ctrl_c_leaves_nothing_behind():
    before = traces()
    process = subprocess.Popen(command(600), env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + AROUND_S
        while " lane " not in (line := process.stdout.readline()):  # the first fault
            assert line, f"the run ended with {process.wait(AROUND_S)}"
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(AROUND_S) == 128 + signal.SIGINT
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(AROUND_S)
        process.stdout.close()
    assert traces() <= before
