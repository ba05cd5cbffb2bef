import os
import subprocess
import sys
from pathlib import Path

import pytest

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
