"""Tasks leave a draining node as their job says that it is updated."""

import pytest
from rollout_kit import Drain

from orion.model.after import After, Condition
from orion.model.allocation import AllocationState
from orion.model.deployment import DeploymentState
from orion.model.job import JobKind
from orion.model.resources import Resources
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.reconcile.moves import MoveMemory, decide_moves


def deployed(count=3, nodes=3, **more):
    world = Drain(nodes)
    world.deploy(count=count, **more)
    assert world.run().state is DeploymentState.DONE
    return world


def until_empty(world, node="node1", floor=0, most=99, ticks=60):
    for _ in range(ticks):
        world.tick()
        assert len(world.ready()) >= floor, "fewer are ready than the job says"
        assert len(world.active()) <= most
        if not any(each.node == node for each in world.active()):
            return
    raise AssertionError(f"{node} still has {world.active()}")


def test_a_task_leaves_once_another_is_ready_in_its_place():
    world = deployed()
    world.drain("node1")
    until_empty(world, floor=3, most=4)
    assert len(world.active()) == 3


def test_one_after_the_other_leaves():
    world = deployed(count=6)
    world.drain("node1")
    until_empty(world, floor=6, most=7)


def test_without_room_the_former_task_ends_first_if_the_floor_lets_it():
    spec = {"resources": Resources(3_000)}
    world = deployed(count=2, **spec)
    world.scale(3)
    world.run()
    world.drain("node1")
    until_empty(world, floor=2, most=3)


def test_without_room_and_with_a_floor_it_stays_until_the_deadline():
    policy = UpdatePolicy(min_available=3, progress_deadline_ms=30_000)
    world = deployed(update=policy, resources=Resources(3_000))
    world.drain("node1")
    for _ in range(20):
        world.tick()
        assert len(world.ready()) == 3
    until_empty(world)


def test_many_that_leave_one_after_the_other_have_the_deadline_each():
    world = deployed(count=9, update=UpdatePolicy(progress_deadline_ms=10_000))
    world.drain("node1")
    until_empty(world, floor=9, most=10)


def test_one_whose_successor_is_watched_for_longer_than_the_deadline_stays_meanwhile():
    world = deployed(update=UpdatePolicy(monitor_ms=30_000, progress_deadline_ms=10_000))
    world.drain("node1")
    for _ in range(25):
        world.tick()
        assert any(each.node == "node1" for each in world.ready())
    until_empty(world, floor=3, most=4)


def test_the_deadline_begins_once_a_deployment_has_ended_however_long_nobody_looked():
    world = deployed(update=UpdatePolicy(order=UpdateOrder.START_FIRST))
    world.drain("node1")
    memory, record = MoveMemory(), world.view.job_record("web")

    def look(**more):
        return decide_moves(record, {"node1"}, memory, now_ms=world.now_ms, has_room=lambda _: False, **more)

    look(deploying=True)
    world.now_ms += 10_000_000
    assert not look().retire
    world.now_ms += 600_000
    assert len(look().retire) == 1


def test_a_single_writer_ends_before_it_starts_elsewhere():
    world = deployed(count=1, update=UpdatePolicy(order=UpdateOrder.STOP_FIRST))
    (only,) = world.active()
    world.drain(only.node)
    until_empty(world, node=only.node, most=1)
    for _ in range(3):
        world.tick()
    assert len(world.ready()) == 1


def test_what_has_run_to_its_end_of_a_batch_holds_up_no_drain():
    world = deployed(count=6, kind=JobKind.BATCH)
    world.report(world.active()[1], "completed")
    world.drain("node1")
    until_empty(world, floor=4, most=5, ticks=10)


def test_of_a_batch_no_other_leaves_before_the_last_one_has_ended():
    world = deployed(count=6, kind=JobKind.BATCH, update=UpdatePolicy(order=UpdateOrder.STOP_FIRST))
    world.drain("node1")
    for _ in range(10):
        world.tick(lambda each: None if each.wanted else {"state": "running", "started_at_ms": 1})
        assert len(world.ready()) >= 5
    until_empty(world, floor=5, most=6)


def waiting_for_a_word(count, deadline_ms=600_000, **more):
    policy = UpdatePolicy(canary=1, progress_deadline_ms=deadline_ms)
    world = deployed(count=count, update=policy, **more)
    world.deploy(count=count, image="nginx:2", update=policy, **more)
    for _ in range(12):
        world.tick()
    assert "orion promote" in world.waits["web"]
    return world


def ends_well(world, versions):
    for _ in range(12):
        world.tick()
    assert "orion promote" in world.waits["web"]
    assert world.versions() == versions
    world.promote()
    assert world.run().state is DeploymentState.DONE
    assert world.versions() == [1] * len(versions)


def test_a_drain_goes_on_while_a_canary_waits_for_its_word():
    world = waiting_for_a_word(6)
    (canary,) = [each for each in world.ready() if each.job_version == 1]
    world.drain(canary.node)
    until_empty(world, node=canary.node, floor=6, most=7)
    ends_well(world, [0, 0, 0, 0, 0, 1])


def test_without_room_it_goes_on_above_the_floor_while_a_canary_waits():
    world = waiting_for_a_word(3, resources=Resources(3_000))
    (canary,) = [each for each in world.ready() if each.job_version == 1]
    world.drain(canary.node)
    until_empty(world, node=canary.node, floor=2, most=3)
    assert world.deployment().running
    world.drain(canary.node, draining=False)
    ends_well(world, [0, 0, 1])


def test_the_canary_is_the_last_that_leaves():
    world = waiting_for_a_word(6, deadline_ms=20_000, resources=Resources(2_000))
    (canary,) = [each for each in world.ready() if each.job_version == 1]
    world.drain(canary.node)
    until_empty(world, node=canary.node, floor=4, most=6, ticks=25)
    world.drain(canary.node, draining=False)
    ends_well(world, [0, 0, 0, 0, 0, 1])


def test_a_deployment_that_has_been_told_to_go_on_takes_its_tasks_off_the_node_itself():
    world = waiting_for_a_word(6)
    world.promote()
    world.drain("node2")
    for _ in range(3):
        world.tick()
        assert not world.view.job_record("web").rollout.moving
    until_empty(world, node="node2", floor=6, most=7, ticks=90)


def test_a_node_that_is_wanted_again_keeps_what_has_not_left():
    world = deployed()
    world.drain("node1")
    world.tick()
    world.drain("node1", draining=False)
    for _ in range(12):
        world.tick()
    assert len(world.active()) == 3


def test_an_update_takes_its_tasks_along():
    world = deployed()
    world.deploy(image="nginx:2")
    world.tick()
    world.drain("node1")
    assert (
        world.run(watch=lambda: len(world.ready()) >= 3 or pytest.fail("fewer are ready")).state
        is DeploymentState.DONE
    )
    until_empty(world, floor=3)
    assert world.versions() == [1, 1, 1]


def test_it_is_looked_at_again_later_than_now():
    world = deployed()
    world.drain("node1")
    for _ in range(20):
        world.tick(ms=500)
        record = world.view.job_record("web")
        again_ms = decide_moves(
            record, {"node1"}, world.move_memories["web"], now_ms=world.now_ms, has_room=lambda _: True
        ).again_ms
        assert again_ms > world.now_ms


def crashes(world):
    """A program that ends a moment after each start."""

    def behaviour(each):
        if not each.wanted or each.status.state is AllocationState.SCHEDULED:
            return None
        if each.status.state is AllocationState.RUNNING:
            return {"state": "starting", "restarts": each.status.restarts + 1}
        return {"state": "running", "started_at_ms": 1, "restarts": each.status.restarts}

    return behaviour


def leaves(world, node, behaviour, ticks=8):
    for _ in range(ticks):
        world.tick(behaviour)
        if not any(each.node == node for each in world.active()):
            return
    raise AssertionError(f"{node} still has {world.active()}")


def test_what_crashes_over_and_over_leaves_at_once_though_its_deployment_waits_for_it():
    world = Drain(3)
    world.deploy(count=1, update=UpdatePolicy(progress_deadline_ms=600_000))
    for _ in range(3):
        world.tick(crashes(world))
    assert world.deployment().running
    (only,) = world.active()
    world.drain(only.node)
    leaves(world, only.node, crashes(world))


def test_what_crashes_over_and_over_is_not_kept_until_another_one_is_steady():
    world = deployed(count=1)
    (only,) = world.active()
    world.drain(only.node)
    leaves(world, only.node, crashes(world))


def test_one_that_does_not_come_up_elsewhere_holds_its_node_until_the_deadline_alone():
    world = deployed(count=1, update=UpdatePolicy(progress_deadline_ms=20_000))
    (only,) = world.active()
    world.drain(only.node)

    def others_crash(each):
        return crashes(world)(each) if each.node != only.node else None

    with pytest.raises(AssertionError):
        leaves(world, only.node, others_crash, ticks=15)
    leaves(world, only.node, others_crash)


def test_tasks_leave_while_their_next_version_waits_for_another_job():
    world = Drain()
    world.deploy(count=2)
    world.run()
    world.deploy(count=2, image="nginx:2", after=(After("db", Condition.HEALTHY),))
    node = world.active()[0].node
    world.drain(node)
    for _ in range(40):
        world.tick()
    assert all(each.node != node for each in world.active())
    assert world.versions() == [0, 0]
