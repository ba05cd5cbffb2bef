import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sim import runner
from sim.coverage import FAULTS, RARE
from sim.runner import ENOUGH_FOR_RARE, ENOUGH_SEEDS, Summary, report, run_seeds

ROOT = Path(__file__).parents[2]
REPLAYED = (20_003, 20_007)


@pytest.mark.sim
def test_all_invariants_hold_under_every_fault(request, capsys):
    config = request.config
    first, seconds = config.getoption("--sim-seed"), config.getoption("--sim-seconds")
    jobs = config.getoption("--sim-jobs")
    with capsys.disabled():
        print(f"\nsimulator: seeds from {first} on for {seconds:g} s", flush=True)
    summary = run_seeds(first, seconds=seconds, jobs=jobs, on_failure=lambda _: None)
    with capsys.disabled():
        print(summary.table(), flush=True)
    assert not summary.failures, "\n\n".join(report(outcome) for outcome in summary.failures[:3])
    assert summary.seeds > 0
    assert not summary.silent_faults(), f"never fired in {summary.seeds} seeds"


def _spin(_seed):
    while True:
        pass


def _wait_for_ever(_seed):
    while True:
        signal.pause()


@pytest.mark.parametrize(
    ("live", "limit", "most", "words"),
    [
        (_spin, "HANG_CPU_S", 1, "no end after 1 s of processor time"),
        (_wait_for_ever, "HANG_S", 0.1, r"no end after 0\.1 s of real time"),
    ],
)
def test_a_seed_without_an_end_is_given_up(monkeypatch, live, limit, most, words):
    monkeypatch.setattr(runner, limit, most)
    summary = run_seeds(1, seconds=60, count=1, live=live, on_failure=lambda _: None)
    (outcome,) = summary.failures
    assert re.search(words, outcome.failure)


def test_a_fault_that_never_fires_is_named_once_there_were_seeds_enough():
    summary = Summary()
    summary.counts.update(what for what in FAULTS if what != "fault: torn write")
    summary.seeds = ENOUGH_SEEDS - 1
    assert not summary.silent_faults()
    summary.seeds = ENOUGH_SEEDS
    assert summary.silent_faults() == ["fault: torn write"]
    summary.seeds = ENOUGH_FOR_RARE
    assert summary.silent_faults() == ["fault: torn write", *RARE]


@pytest.mark.sim
@pytest.mark.parametrize("seed", REPLAYED)
def test_a_seed_replays_to_the_byte(seed):
    """In processes whose strings hash otherwise."""
    assert _digest(seed, "1") == _digest(seed, "2")


def _digest(seed, hash_seed):
    done = subprocess.run(
        [sys.executable, "-m", "sim", "--seed", str(seed), "--digest"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout
