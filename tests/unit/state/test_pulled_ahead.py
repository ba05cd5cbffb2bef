"""Stop-first: the new image is pulled where the new task is to run before the former one is told to end."""

import pytest
from rollout_kit import Rollout

from orion.model.job import PortBinding
from orion.model.resources import Resources
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy

STOP_FIRST = UpdatePolicy(order=UpdateOrder.STOP_FIRST)


def running(world, **more):
    world.deploy(count=2, update=STOP_FIRST, **more)
    world.run()
    return [each.id for each in world.active()]


def test_a_task_ends_once_the_image_is_there():
    world = Rollout()
    kept, asked = running(world), []
    world.pull = lambda node, image: asked.append((node, image))
    world.deploy(count=2, image="nginx:2", update=STOP_FIRST)
    for _ in range(20):
        world.tick()
    assert [each.id for each in world.active() if each.wanted] == kept
    (where,) = {node for node, _ in asked}
    assert {image for _, image in asked} == {"nginx:2"}
    assert where == world.active()[0].node
    assert world.waits["web"] == f"web/0 has its turn once {where} has pulled its image"
    world.pull = lambda node, image: ""
    assert world.run().state == "done"
    assert world.versions() == [1, 1]


def test_a_new_leader_asks_again():
    world = Rollout()
    running(world)
    world.pull = lambda node, image: None
    world.deploy(count=2, image="nginx:2", update=STOP_FIRST)
    world.tick()
    asked = []
    world.pull = lambda node, image: asked.append(node)
    world.new_leader()
    world.tick()
    assert len(asked) == 1


def test_an_image_that_is_not_to_be_had_has_ended_nothing():
    world = Rollout()
    kept = running(world)
    world.pull = lambda node, image: "nginx:2 can't be pulled: no such image"
    world.deploy(count=2, image="nginx:2", update=STOP_FIRST)
    seen = []
    end = world.run(watch=lambda: seen.append([each.id for each in world.active() if each.wanted]))
    assert end.state == "rolled-back"
    assert end.reason.startswith("web/0 on node")
    assert "nginx:2 can't be pulled: no such image" in end.reason
    assert all(ids == kept for ids in seen)


@pytest.mark.parametrize(("action", "state"), [("pause", "paused"), ("continue", "failed")])
def test_nor_with_another_consequence(action, state):
    world = Rollout()
    kept = running(world)
    world.pull = lambda node, image: "no such image"
    policy = UpdatePolicy(order=UpdateOrder.STOP_FIRST, failure_action=FailureAction(action))
    world.deploy(count=2, image="nginx:2", update=policy)
    assert world.run().state == state
    assert [each.id for each in world.active() if each.wanted] == kept


def test_tasks_that_nobody_can_use_end_without_it():
    world = Rollout()
    world.deploy(count=2, update=STOP_FIRST)
    world.tick(lambda each: {"state": "starting"})
    world.pull = lambda node, image: None
    world.deploy(count=2, image="nginx:2", update=STOP_FIRST)
    for _ in range(3):
        world.tick()
    assert 1 in world.versions()


def works(each):
    scheduled = each.wanted and each.status.state == "scheduled"
    return {"state": "running", "started_at_ms": 1, "ready_since_ms": 1} if scheduled else None


def test_the_new_task_takes_the_place_of_the_former_one():
    world = Rollout(3)
    ports = (PortBinding(80, "tcp", 8080),)
    world.deploy(count=2, ports=ports, resources=Resources(2_000))
    world.run(works)
    before = {each.index: each.node for each in world.active()}
    world.deploy(count=2, image="nginx:2", ports=ports, resources=Resources(2_500), update=STOP_FIRST)
    asked = set()
    world.pull = lambda node, image: asked.add(node) or ""
    assert world.run(works).state == "done"
    assert {each.index: each.node for each in world.active() if each.wanted} == before
    assert asked == set(before.values())


def test_one_that_may_not_be_there_is_pulled_where_it_may():
    world = Rollout(3)
    running(world, constraints=(("id", "node1"),))
    asked = set()
    world.pull = lambda node, image: asked.add(node) or ""
    world.deploy(count=2, image="nginx:2", constraints=(("id", "node2"),), update=STOP_FIRST)
    assert world.run().state == "done"
    assert asked == {"node2"} == {each.node for each in world.active()}
