"""Two builds in one cluster: states equal to the byte, nothing lost, no node ends."""

import pytest

from sim.runner import report, run_seeds
from sim.scenario import run_seed
from sim.upgrade import Upgrade

SEEDS = 4
SHOWN = (
    "builds: upgraded",
    "builds: rolled back",
    "builds: risen",
    "builds: refused what is newer",
    "builds: took what is newer",
    "builds: the newer one leads",
    "builds: the present one leads",
)


@pytest.mark.sim
def test_a_cluster_is_upgraded_and_rolled_back_under_load(request):
    Upgrade.prepare()
    summary = run_seeds(
        request.config.getoption("--sim-seed"),
        seconds=3_600,
        count=SEEDS,
        jobs=request.config.getoption("--sim-jobs"),
        live=lambda seed: run_seed(seed, make=Upgrade),
        on_failure=lambda _: None,
    )
    assert not summary.failures, "\n\n".join(report(outcome) for outcome in summary.failures[:3])
    assert not [what for what in SHOWN if not summary.counts[what]]
