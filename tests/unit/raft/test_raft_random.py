"""Seeded random schedules of messages, writes, ticks, crashes, partitions and changes of configuration.

`ORION_RAFT_SEEDS=from:to` runs others than the usual ones; a failure names its seed and shows the end of its trace.
"""

import os

import pytest
from raft_world import World

FIRST, END = (int(part) for part in os.environ.get("ORION_RAFT_SEEDS", "0:240").split(":"))
SEEDS_PER_CASE = 20
EVENTS = 300


def run(seed: int) -> World:
    """Every other seed ends with a change that not all are told of, and the death of a minority for good."""
    world = World(seed)
    try:
        world.run(EVENTS)
        if seed % 2 == 0:
            world.tell_half_of_a_change()
            world.lose_a_minority()
        world.settle()
    except Exception as error:
        tail = "\n".join(world.log[-40:])
        raise AssertionError(f"seed {seed} at {world.now} ms: {error}\n{tail}") from error
    return world


@pytest.mark.parametrize("start", range(FIRST, END, SEEDS_PER_CASE))
def test_random_schedules_keep_safety_under_faults_and_make_progress_after(start: int) -> None:
    worlds = [run(seed) for seed in range(start, min(start + SEEDS_PER_CASE, END))]
    # The schedules get somewhere: what never commits proves nothing.
    assert any(w.gone for w in worlds)
    assert sum(len(w.committed) for w in worlds) > 5 * len(worlds)
    assert sum(len(w.confs) for w in worlds) > 0
    assert sum(w.reads for w in worlds) > 0
