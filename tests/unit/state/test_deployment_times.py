"""What a deployment waits for by its own policy, and what was before it is looked at, turn nothing back."""

import pytest
from msgspec.structs import replace
from rollout_kit import Rollout
from test_plans import job_of, plan_of

from orion.model.allocation import AllocationState
from orion.model.deployment import DeploymentState
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy
from orion.state.check import rebuilt, state_hash
from orion.state.tables.deployments import TurnDeployment

DONE, BACK, PAUSED = DeploymentState.DONE, DeploymentState.ROLLED_BACK, DeploymentState.PAUSED
SHORT = UpdatePolicy(monitor_ms=5_000, progress_deadline_ms=60_000)
RUNS = {"state": "running", "started_at_ms": 1}
CRASHED = {"state": "starting", "reason": "restarting after exit code 1", "exit_code": 1}


def deployed(**more):
    world = Rollout()
    world.deploy(update=SHORT, **more)
    assert world.run().state is DONE
    return world


def test_a_delay_may_be_longer_than_the_progress_deadline():
    world = deployed()
    policy = replace(SHORT, delay_ms=90_000)
    assert plan_of(world, job_of(image="nginx:2", update=policy)).ends == "done"
    world.deploy(image="nginx:2", update=policy)
    assert world.run(ticks=400).state is DONE


def test_a_delay_is_for_the_way_there_alone():
    world = deployed()
    world.deploy(image="nginx:2", update=replace(SHORT, delay_ms=90_000))
    ill = {"state": "failed", "reason": "exit code 3"}

    def bad(each):
        return ill if each.job_version == 1 and each.index == 1 and each.wanted else None

    while not world.deployment().rolling_back:
        world.tick(bad)
    began_ms = world.now_ms
    assert world.run().state is BACK
    assert world.now_ms - began_ms < 90_000
    assert world.versions() == [0, 0, 0]


def test_a_task_may_be_watched_for_longer_than_the_progress_deadline():
    world = deployed()
    policy = replace(SHORT, monitor_ms=90_000)
    assert plan_of(world, job_of(image="nginx:2", update=policy)).ends == "done"
    world.deploy(image="nginx:2", update=policy)
    assert world.run(ticks=400).state is DONE


@pytest.mark.parametrize("count", [3, 2], ids=["exchanged", "fewer"])
def test_a_task_may_take_longer_to_end_than_the_progress_deadline(count):
    """It has so long: its drain time and its grace."""
    world = deployed(drain_ms=80_000, stop_grace_ms=10_000)
    world.deploy(count=count, image="nginx:2", update=SHORT, drain_ms=80_000, stop_grace_ms=10_000)
    told = {}

    def slow(each):
        if each.wanted:
            return None
        return RUNS if world.now_ms < told.setdefault(each.id, world.now_ms) + 85_000 else {"state": "stopped"}

    assert world.run(slow, ticks=400).state is DONE


def test_a_new_task_has_its_time_after_a_former_one_that_took_long_to_end():
    world = deployed(drain_ms=80_000, stop_grace_ms=10_000, count=1)
    policy = replace(SHORT, order=UpdateOrder.STOP_FIRST)
    world.deploy(count=1, image="nginx:2", update=policy, drain_ms=80_000, stop_grace_ms=10_000)
    told = {}

    def slow(each):
        if each.wanted:
            return {"state": "starting"} if world.now_ms < told.get("end", 0) else RUNS
        since = told.setdefault(each.id, world.now_ms)
        told["end"] = since + 85_000 + 20_000
        return RUNS if world.now_ms < since + 85_000 else {"state": "stopped"}

    assert world.run(slow, ticks=400).state is DONE


def test_one_that_does_not_end_in_its_time_holds_an_update_no_longer_than_the_deadline():
    world = deployed(drain_ms=0, stop_grace_ms=10_000)
    world.deploy(image="nginx:2", update=SHORT, drain_ms=0, stop_grace_ms=10_000)

    def stays(each):
        return None if each.wanted else RUNS

    while not world.deployment().rolling_back:
        world.tick(stays)
    row = world.deployment()
    assert row.reason == "nothing has come of it for 60 s: the former web/0 has not ended yet"
    since = row.progress_at_ms
    while world.deployment().state is DeploymentState.RUNNING:
        world.tick(stays)
    assert 70_000 <= world.now_ms - since <= 80_000


def test_a_canary_that_waited_long_for_a_word_may_lose_its_node():
    world = deployed(count=2)
    world.deploy(count=2, image="nginx:2", update=replace(SHORT, canary=1))
    for _ in range(100):
        world.tick()
    canary = next(each for each in world.active() if each.job_version == 1)
    world.down(canary.node)
    for _ in range(20):
        world.tick()
    assert world.deployment().state is DeploymentState.RUNNING
    assert world.versions() == [0, 1]
    world.promote()
    assert world.run().state is DONE


def test_a_paused_update_whose_task_came_up_after_all_is_promoted():
    world = deployed()
    world.deploy(image="nginx:2", update=replace(SHORT, failure_action=FailureAction.PAUSE))
    restarted = RUNS | {"restarts": 1}

    def first(each):
        return CRASHED if each.job_version == 1 and each.status.state != "scheduled" else None

    assert world.run(first).state is PAUSED

    def again(each):
        return restarted if each.job_version == 1 and each.wanted and each.index == 0 else None

    world.tick(again)
    world.promote()
    assert world.run(again).state is DONE
    assert world.versions() == [1, 1, 1]


def test_one_that_is_restarted_while_it_is_watched_has_failed():
    world = deployed()
    world.deploy(image="nginx:2", update=SHORT)
    seen = []

    def restarts(each):
        if each.job_version != 1 or not each.wanted or each.status.state is AllocationState.SCHEDULED:
            return None
        seen.append(each.id)
        return RUNS | {"restarts": 1} if len(seen) > 2 else RUNS

    assert world.run(restarts).state is BACK


def test_what_was_ended_from_outside_is_no_failure_of_its_version():
    """As by a restart of the engine: its node tells no exit code then."""
    world = deployed()
    world.deploy(image="nginx:2", update=SHORT)
    hit = []

    def stopped(each):
        if each.job_version != 1 or each.index != 1 or each.status.state is AllocationState.SCHEDULED:
            return None
        hit.append(each.id)
        return CRASHED | {"exit_code": None} if len(hit) < 5 else RUNS

    assert world.run(stopped).state is DONE


def test_a_turn_back_that_was_decided_twice_is_one():
    world = deployed()
    world.deploy(image="nginx:2", update=SHORT)
    while 1 not in world.versions():
        world.tick()
    turn = TurnDeployment(world.now_ms, world.deployment().id, "it is ill")
    world.do(turn)
    before = world.deployment()
    world.do(turn)
    assert world.deployment() == before
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)
    row = world.run()
    assert (row.state, row.reason) == (BACK, "it is ill")
    assert world.versions() == [0, 0, 0]
