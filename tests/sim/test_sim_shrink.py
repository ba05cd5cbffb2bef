"""A failing seed is shrunk to fewer events that fail by the same rule, and leaving nothing out changes nothing."""

import pytest

from sim.events import Keep, read, shown
from sim.planted import agent_starts_before_confirm
from sim.runner import run_seeds
from sim.scenario import replay, run_seed
from sim.shrink import Shrinker, rule_of, told

SEED = 30_002
LIMIT_S = 3_600.0  # it ends once nothing more can be left out: after 15 s of a quiet machine


def test_lists_of_events_are_read_as_they_are_shown():
    keys = frozenset(["fault:3", "fault:7", "fault:8", "fault:9", "op:client-0:1", "op:client-12:0"])
    assert shown(keys) == "fault:3,7-9 op:client-0:1 op:client-12:0"
    assert read(shown(keys)) == keys
    assert read(shown(frozenset())) == frozenset()


def in_processes(live, count):
    """What `live` returns for 0, 1, ..., each in a process of its own."""
    outcomes = {}

    def until(outcome):
        outcomes[outcome.seed] = outcome
        return False

    def numbered(number):
        outcome = live(number)
        outcome.seed = number
        return outcome

    run_seeds(0, seconds=600, count=count, live=numbered, on_failure=lambda _: None, until=until)
    return [outcomes[number] for number in range(count)]


@pytest.mark.sim
def test_a_shrunk_seed_fails_by_the_same_rule_and_replays():
    shrunk = Shrinker(SEED, limit_s=LIMIT_S, jobs=2, plant=agent_starts_before_confirm).shrink()
    assert shrunk is not None
    assert rule_of(shrunk.outcome) == "a container is confirmed first"
    left = shrunk.outcome.happened
    assert [event.what.split()[0] for event in left] == ["create"], told(shrunk)

    def again(_):
        agent_starts_before_confirm()
        return replay(SEED, shrunk.keep)

    first, second = in_processes(again, 2)
    assert first.digest == second.digest
    assert first.failure == second.failure == shrunk.outcome.failure


@pytest.mark.sim
def test_leaving_out_what_comes_later_changes_nothing_before():
    """A seed that keeps only the events up to some time has the same trace up to then."""
    whole, cut = in_processes(lambda number: _traced(Keep() if number == 0 else Keep(_first_faults(30))), 2)
    assert whole.recent
    assert whole.recent == cut.recent


def _first_faults(count):
    return frozenset(
        [f"fault:{n}" for n in range(count)] + [f"op:client-{c}:{n}" for c in range(10) for n in range(count)]
    )


def _traced(keep):
    """The trace of the first seconds, before any list of that length has ended."""
    lines = []
    outcome = replay(SEED, keep, lines.append, until_s=4.0)
    outcome.recent = lines[:400]
    return outcome


@pytest.mark.sim
def test_a_seed_that_holds_can_not_be_shrunk():
    assert not run_seeds(SEED, seconds=60, count=1, live=run_seed, on_failure=lambda _: None).failures
