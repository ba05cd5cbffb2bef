"""The checks bite: a node with a bug planted in it is found out within a few seeds, by a rule that it breaks."""

import pytest

from sim.planted import PLANTED
from sim.runner import report
from sim.try_planted import attempt, rule_of


@pytest.mark.sim
@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_found(bug, request):
    trial = attempt(bug, bug.first, bug.seeds, jobs=request.config.getoption("--sim-jobs"))
    seen = sorted({rule_of(outcome) for outcome in trial.others})
    others = "\n".join(report(outcome, 20) for outcome in trial.others)
    assert trial.seed is not None, f"none of {sorted(bug.rules)} in {seen}\n{others}"
