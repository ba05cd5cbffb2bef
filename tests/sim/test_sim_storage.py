"""Volumes of a storage system: each has one writer, is where its claim says, and is never lost or left behind."""

import pytest

from sim.hand_over import HandOver
from sim.runner import report, run_seeds
from sim.scenario import run_seed
from sim.stored import StoredScenario

SEEDS = {HandOver: 60, StoredScenario: 3}


@pytest.mark.sim
@pytest.mark.parametrize("scenario", SEEDS, ids=lambda kind: kind.__name__)
def test_volumes_are_whole_and_have_one_writer(scenario, request):
    summary = run_seeds(
        request.config.getoption("--sim-seed"),
        seconds=3_600,
        count=SEEDS[scenario],
        jobs=request.config.getoption("--sim-jobs"),
        live=lambda seed: run_seed(seed, make=scenario),
        on_failure=lambda _: None,
    )
    assert not summary.failures, "\n\n".join(report(outcome) for outcome in summary.failures[:3])
    assert summary.counts["array: published"] > SEEDS[scenario]
