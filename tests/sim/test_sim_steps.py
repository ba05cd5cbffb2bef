"""Whatever step of a deployment its leader dies at, whoever leads next goes on with it."""

import pytest

from sim.runner import report, run_seeds
from sim.scenario import run_seed
from sim.steps import POINTS, Steps

SEEDS = 8


@pytest.mark.sim
def test_a_deployment_goes_on_whatever_step_its_leader_dies_at(request):
    summary = run_seeds(
        request.config.getoption("--sim-seed"),
        seconds=3_600,
        count=SEEDS,
        jobs=request.config.getoption("--sim-jobs"),
        live=lambda seed: run_seed(seed, make=Steps),
        on_failure=lambda _: None,
    )
    assert not summary.failures, "\n\n".join(report(outcome) for outcome in summary.failures[:3])
    assert not [point for point in POINTS if not summary.counts[f"fault: {point}: StepDeployment"]]
