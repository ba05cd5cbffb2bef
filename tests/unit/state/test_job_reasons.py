"""A job says why it is not as asked: in the words of its tasks, or of its last change."""

import pytest
from rollout_kit import Rollout

from orion.model.deployment import DeploymentState
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy
from orion.node.views import counts, render_jobs, render_rows

NO_IMAGE = "nginx:2 is not there"


def reason(world):
    """As the job and its row say it."""
    record = world.view.job_record("web")
    row = render_rows.job_row(world.view, record, counts.of_job(record))
    said = render_jobs.job(world.view, "web").reason
    assert row.reason == said
    return said


def deployed(count=3):
    world = Rollout()
    world.deploy(count=count)
    assert world.run().state is DeploymentState.DONE
    assert reason(world) == ""
    return world


def no_image(each):
    if each.job_version == 0:
        return {"state": "running", "started_at_ms": 1}
    return {"state": "failed", "reason": NO_IMAGE}


def test_a_task_of_which_two_runs_end_again_and_again_is_one_task():
    policy = UpdatePolicy(order=UpdateOrder.START_FIRST, failure_action=FailureAction.PAUSE)
    world = Rollout(2)
    world.deploy(count=1, update=policy)
    assert world.run().state is DeploymentState.DONE
    world.deploy(count=1, image="nginx:2", update=policy)
    for _ in range(2):
        world.tick(lambda each: {"state": "starting", "restarts": 2, "exit_code": 3, "reason": "boom"})
    assert sum(each.wanted and each.status.restarts > 0 for each in world.active()) == 2
    assert reason(world) == "1 of 1 task restarts: boom"


def test_a_job_whose_task_ends_again_and_again_says_so_until_its_deployment_has_ended():
    world = Rollout(1)
    world.deploy(count=1)
    why = "restarting after exit code 3: no such table"
    for _ in range(3):
        world.tick(lambda each: {"state": "starting", "restarts": 2, "exit_code": 3, "reason": why})
    assert reason(world) == "1 of 1 task restarts: exit code 3: no such table"
    up = {"state": "running", "started_at_ms": 1, "restarts": 3, "exit_code": 3, "reason": ""}
    world.tick(lambda each: {**up, "ready_since_ms": 5})
    assert reason(world) == "1 of 1 task restarts: exit code 3"
    assert world.run(lambda each: {**up, "ready_since_ms": 5}).state is DeploymentState.DONE
    assert reason(world) == ""


def test_the_first_reason_of_its_tasks_is_the_jobs_also_while_it_deploys():
    world = Rollout()
    world.deploy(count=2)
    for _ in range(3):
        world.tick(lambda each: {"state": "pulling", "reason": NO_IMAGE})
    assert reason(world) == f"2 of 2 tasks are not ready: {NO_IMAGE}"
    world.run(lambda each: {"state": "running", "started_at_ms": 1})
    assert reason(world) == ""


def test_tasks_that_have_failed_for_good_say_why():
    world = Rollout()
    world.deploy(count=1)
    for _ in range(3):
        world.tick(lambda each: {"state": "failed", "reason": "exit code 1"})
    assert reason(world) == "1 of 1 task failed: exit code 1"
    world.stop()
    assert reason(world) == ""


@pytest.mark.parametrize(
    ("action", "state", "words"),
    [
        (FailureAction.ROLLBACK, DeploymentState.ROLLED_BACK, "update to version 1 was rolled back: web/"),
        (FailureAction.PAUSE, DeploymentState.PAUSED, "update to version 1 is paused: web/"),
    ],
)
def test_a_change_that_came_to_nothing_is_said_until_the_next_one(action, state, words):
    world = deployed()
    world.deploy(image="nginx:2", update=UpdatePolicy(failure_action=action))
    said = set()
    assert world.run(no_image, watch=lambda: said.add(reason(world))).state is state
    assert reason(world).startswith(words)
    assert NO_IMAGE in reason(world)
    if action is FailureAction.ROLLBACK:
        assert any(each.startswith("update to version 1 is rolled back: web/") for each in said)
    world.deploy(image="nginx:3")
    world.run()
    assert reason(world) == ""
