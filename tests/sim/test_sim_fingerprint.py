"""The fingerprint that grows with a state is that of the same state made anew from its snapshot."""

import pytest

from orion.state.check import rebuilt
from sim.builds import PRESENT
from sim.fingerprint import Fingerprint
from sim.runner import report, run_seeds
from sim.scenario import Scenario, run_seed


class Anew(Scenario):
    """Compares the two after each entry that is committed."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        invariants = self.invariants
        commit = invariants._commit

        def and_compare(machine, index, term):
            commit(machine, index, term)
            state = invariants.state
            if Fingerprint(PRESENT, rebuilt(state)).take() != invariants._prints[index]:
                self.world.fail("fingerprints", f"at {index} it is not that of the state made anew")

        invariants._commit = and_compare

    async def check_answers(self):
        await super().check_answers()
        prints = self.invariants._prints
        assert len(prints) > 100
        assert len(set(prints.values())) > len(prints) // 2  # all but those of configurations


@pytest.mark.parametrize("seed", [20_013, 20_023])
def test_a_fingerprint_costs_what_has_changed_and_is_of_all(seed):
    summary = run_seeds(
        seed, seconds=60, count=1, live=lambda number: run_seed(number, make=Anew), on_failure=lambda _: None
    )
    assert summary.seeds == 1
    assert not summary.failures, report(summary.failures[0])
