"""The events that a node remembers, and what is said of those that it has forgotten."""

import asyncio

import pytest

from orion.model.events import Event
from orion.node.consensus.applied import EVENTS_REMEMBERED, EVERYTHING, AppliedWatch


def event(index, part=0):
    return Event(index, part, 0, "NodeWentDown", "node1", "node1 is down")


def remembered(watch, after):
    """The first batch past `after`, with None for forgotten ones."""

    async def first():
        return await anext(watch.batches(after, follow=False))

    return asyncio.run(first())


def filled(count):
    watch = AppliedWatch()
    for index in range(1, count + 1):
        watch.advance(index, [event(index)])
    return watch


def test_a_follower_is_told_that_events_past_its_position_were_forgotten():
    watch = filled(EVENTS_REMEMBERED + 10)
    batch = remembered(watch, (3, 0))
    assert batch[0] is None
    assert batch[1].index == 11
    assert len(batch) == EVENTS_REMEMBERED + 1


@pytest.mark.parametrize("after", [(10, 0), (11, 0), (500, 0)])
def test_a_follower_that_has_all_before_the_oldest_is_told_nothing_else(after):
    """The tenth was the last to be forgotten, so who has seen it or a later one misses nothing."""
    watch = filled(EVENTS_REMEMBERED + 10)
    batch = remembered(watch, after)
    if after == (10, 0):
        assert batch[0] is None, "whether others of the same entry followed it, nobody knows any more"
    else:
        assert batch[0].index == after[0] + 1


def test_who_wants_everything_gets_what_is_remembered():
    watch = filled(EVENTS_REMEMBERED + 10)
    batch = remembered(watch, EVERYTHING)
    assert batch[0].index == 11


def test_nothing_is_forgotten_while_all_are_remembered():
    watch = filled(EVENTS_REMEMBERED)
    assert remembered(watch, (1, 0))[0].index == 2


def test_a_snapshot_s_past_is_told_as_forgotten():
    watch = AppliedWatch()
    watch.advance(1, [event(1)])
    watch.reset(10)
    watch.advance(11, [event(11)])
    assert [each and each.index for each in remembered(watch, (1, 0))] == [None, 11]


def test_what_changed_during_a_look_is_not_waited_for_again():
    async def main():
        watch = AppliedWatch()
        seen = watch.moves
        watch.nudge()
        async with asyncio.timeout(60):
            await watch.changed(seen)
            seen = watch.moves
            watch.advance(1)
            await watch.changed(seen)
        waiting = asyncio.ensure_future(watch.changed(watch.moves))
        await asyncio.sleep(0)
        assert not waiting.done()
        watch.nudge()
        await waiting

    asyncio.run(main())
