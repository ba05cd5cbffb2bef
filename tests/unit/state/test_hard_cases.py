"""Updates that can't simply start one more task first, each with a leader that dies at every one of its steps."""

import pytest
from rollout_kit import Rollout

from orion.model.deployment import DeploymentState
from orion.model.job import PortBinding
from orion.model.node import NodeStatus
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources
from orion.model.update import UpdatePolicy
from orion.state.tables.node_status import SetNodeStatus

FLOOR = 2  # of three, with one at a time
CASES = {
    "a host port on each node": {"ports": (PortBinding(80, "tcp", 8080),)},
    "at most one per node": {"rules": PlacementRules(max_per_node=1)},
    "memory for three only": {"resources": Resources(100, 600_000_000)},
    "room for one more": {},
}
MAX_TICKS = 60


def started(case, dead=""):
    """Three tasks; one node of four, where one is to be dead, has gone before the update begins."""
    world = Rollout(4 if dead else 3)
    world.deploy(**CASES[case])
    assert world.run(accepts).state is DeploymentState.DONE
    if dead:
        world.down(dead)
        until(world, lambda: len(world.ready()) == 3)
    return world


def accepts(each):
    """As a node reports of a task once its ports accept."""
    return {"state": "running", "started_at_ms": 1, "ready_since_ms": 5} if each.wanted else None


def comes_back(world, node):
    world.register(node)
    world.do(SetNodeStatus(50, node, world.state.nodes[node].raft_id, NodeStatus.READY, ""))


def until(world, holds):
    for _ in range(MAX_TICKS):
        world.tick(accepts, ms=2_500)
        if holds():
            return
    raise AssertionError(f"not within {MAX_TICKS} looks: {world.deployment()}, {world.waits}")


def updated(world, case, change_leader_at):
    """Returns how many looks it took."""
    world.deploy(image="nginx:2", **CASES[case])
    for tick in range(MAX_TICKS):
        if tick == change_leader_at:
            world.new_leader()
        world.tick(accepts, ms=2_500)
        assert len(world.ready()) >= FLOOR
        assert len([each for each in world.active() if each.wanted]) <= 4
        if world.deployment().state is not DeploymentState.RUNNING:
            assert world.deployment().state is DeploymentState.DONE, world.deployment()
            assert world.versions() == [1, 1, 1]
            return tick + 1
    raise AssertionError(f"it goes on and on: {world.deployment()}, {world.waits}")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dead", ["", "node2"], ids=["all nodes up", "one node dead"])
def test_an_update_of_three_tasks_whatever_step_the_leader_dies_at(case, dead):
    steps = updated(started(case, dead), case, -1)
    for step in range(steps):
        updated(started(case, dead), case, step)


@pytest.mark.parametrize("case", CASES)
def test_a_node_that_dies_in_the_middle_of_an_update(case):
    world = started(case)
    world.deploy(image="nginx:2", **CASES[case])
    until(world, lambda: 1 in world.versions())
    (gone,) = {each.node for each in world.active() if each.job_version == 1 and each.wanted}
    world.down(gone)
    for _ in range(5):
        world.tick(accepts, ms=2_500)
        assert world.ready()
    comes_back(world, gone)
    until(world, lambda: world.deployment().state is DeploymentState.DONE and len(world.ready()) == 3)
    assert world.versions() == [1, 1, 1]


@pytest.mark.parametrize("case", ["a host port on each node", "at most one per node"])
def test_three_nodes_of_which_one_is_dead_wait_for_it_and_say_so(case):
    world = started(case)
    world.down("node3")
    world.tick()
    world.deploy(image="nginx:2", update=UpdatePolicy(progress_deadline_ms=3_600_000), **CASES[case])
    for _ in range(MAX_TICKS):
        world.tick(accepts, ms=2_500)
        assert world.ready()
    assert world.deployment().state is DeploymentState.RUNNING
    assert "waits to be placed" in world.waits["web"]
    comes_back(world, "node3")
    until(world, lambda: world.deployment().state is DeploymentState.DONE)
    assert world.versions() == [1, 1, 1]
