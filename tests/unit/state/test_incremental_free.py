"""Freeing a replaced state in steps."""

import sys

from state_kit import World

from orion.state.incremental_free import dismantle


def test_nothing_of_a_dismantled_state_is_kept_alive_by_it():
    world = World(nodes=3)
    world.create("web", count=5_000)
    world.place("web", *((n, f"node{n % 3 + 1}") for n in range(5_000)))
    one = world.view.allocations_of_job("web")[17]
    held = sys.getrefcount(one)
    steps = sum(1 for _ in dismantle(world.state))
    assert steps > 5
    assert not world.state.allocations
    assert not world.state.jobs
    assert sys.getrefcount(one) == held - 2  # the table's and the slot's
