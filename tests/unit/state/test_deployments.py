import pytest
from rollout_kit import Rollout

from orion.model.deployment import DeploymentKind, DeploymentState
from orion.model.errors import Conflict, Refused
from orion.model.job import PortBinding
from orion.model.resources import Resources
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy
from orion.node.rpc.reads import ALL
from orion.node.views import render, render_jobs
from orion.scheduler.schedule import schedule
from orion.state.check import rebuilt, state_hash
from orion.state.tables import job_changes
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.deployments import StepDeployment
from orion.state.tables.jobs import RemoveJob

DONE, BACK, FAILED = DeploymentState.DONE, DeploymentState.ROLLED_BACK, DeploymentState.FAILED


def deployed(count=3, nodes=3, **more):
    world = Rollout(nodes)
    world.deploy(count=count, **more)
    assert world.run().state is DONE
    return world


def test_a_first_deployment_ends_once_all_tasks_are_steady():
    world = Rollout()
    world.deploy()
    row = world.deployment()
    assert (row.kind, row.from_version, row.to_version) == (DeploymentKind.DEPLOY, -1, 0)
    assert world.run().state is DONE
    assert world.versions() == [0, 0, 0]


def test_an_update_starts_first_and_never_has_fewer_ready():
    world = deployed()
    world.deploy(image="nginx:2")
    most = []

    def watch():
        assert len(world.ready()) >= 3
        most.append(len(world.active()))

    assert world.run(watch=watch).state is DONE
    assert world.versions() == [1, 1, 1]
    assert max(most) == 4


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_after_each_update_the_tasks_are_on_as_many_nodes_as_before(nodes):
    world = deployed(nodes=nodes)
    for number in range(2, 7):
        world.deploy(image=f"nginx:{number}")
        assert world.run().state is DONE
        assert len({each.node for each in world.active()}) == 3


def test_an_unchanged_job_is_left_alone():
    world = deployed()
    before = world.deployment()
    assert world.deploy().result == "web"
    assert world.deployment() == before


def test_without_room_for_one_more_the_former_task_ends_first():
    world = deployed(resources=Resources(3_000))  # of 4,000 on each of three nodes
    world.deploy(image="nginx:2", resources=Resources(3_000))

    def watch():
        assert len(world.active()) <= 3
        assert len(world.ready()) >= 2

    assert world.run(watch=watch).state is DONE
    assert world.versions() == [1, 1, 1]


def test_a_fixed_port_on_all_nodes_is_given_on_one_after_the_other():
    port = (PortBinding(80, "tcp", 8080),)
    world = Rollout()
    world.deploy(ports=port)
    told = lambda a: {"state": "running", "started_at_ms": 1, "ready_since_ms": 5}  # noqa: E731

    def behave(each):
        return told(each) if each.wanted and each.status.ready_since_ms == 0 else None

    world.run(behave)
    world.deploy(image="nginx:2", ports=port)
    assert world.run(behave, watch=lambda: len(world.ready()) >= 2 or pytest.fail("below the floor")).state is DONE


def test_a_single_writer_never_runs_twice():
    policy = UpdatePolicy(order=UpdateOrder.STOP_FIRST)
    world = deployed(count=1, update=policy)
    world.deploy(count=1, image="nginx:2", update=policy)
    slow = iter(range(100))

    def behave(each):
        return {"state": "running", "started_at_ms": 1} if not each.wanted and next(slow) < 3 else None

    def watch():
        assert len(world.active()) <= 1

    assert world.run(behave, watch=watch).state is DONE


def failing(version):
    def behave(each):
        if each.wanted and each.job_version == version:
            return {"state": "failed", "reason": "exit code 1", "exit_code": 1}
        return None

    return behave


def test_a_version_that_fails_is_rolled_back_and_the_former_tasks_never_ended():
    world = deployed()
    kept = {a.id for a in world.active()}
    world.deploy(image="nginx:bad")

    def watch():
        assert len(world.ready()) == 3

    row = world.run(failing(1), watch=watch)
    assert (row.state, row.reason) == (BACK, "web/0 on node1: exit code 1")
    assert {a.id for a in world.active()} == kept
    assert world.view.job("web").task.image == "nginx:1"


def test_a_version_that_failed_is_shown_as_such_until_a_deployment_to_it_is_done():
    world = deployed()
    world.deploy(image="nginx:bad")
    assert world.run(failing(1)).state is BACK
    failed = lambda: [each.version for each in render_jobs.versions(world.view, "web") if each.failed]  # noqa: E731
    assert failed() == [1]
    world.roll_back(1)
    assert world.run().state is DONE
    assert failed() == []


def test_one_that_is_ready_for_four_seconds_and_then_is_not_is_rolled_back():
    world = deployed()
    world.deploy(image="nginx:2")
    born = {}

    def behave(each):
        if each.job_version != 1 or not each.wanted:
            return None
        if world.now_ms - born.setdefault(each.id, world.now_ms) < 4_000:
            return {"state": "running", "started_at_ms": 1}
        return {"state": "starting", "reason": "exit code 3", "restarts": 1}

    row = world.run(behave, watch=lambda: len(world.ready()) >= 3 or pytest.fail("a request was lost"))
    assert row.state is BACK
    assert row.reason == "web/0 on node1: exit code 3"


def test_a_failure_pauses_or_is_passed_over_as_the_policy_says():
    world = deployed()
    world.deploy(image="nginx:bad", update=UpdatePolicy(failure_action=FailureAction.PAUSE))
    assert world.run(failing(1)).state is DeploymentState.PAUSED
    assert world.versions().count(0) == 3
    world.promote()
    assert world.run().state is DONE
    assert world.versions() == [1, 1, 1]
    world.deploy(image="nginx:3", update=UpdatePolicy(failure_action=FailureAction.CONTINUE))
    row = world.run(lambda a: failing(2)(a) if a.index == 1 else None)
    assert row.state is FAILED
    assert row.reason.startswith("1 of 3 failed: web/1 on ")


def test_the_first_version_has_nothing_to_go_back_to():
    world = Rollout()
    world.deploy()
    row = world.run(failing(0))
    assert row.state is FAILED
    assert world.view.job("web").version == 0
    world.deploy()  # the same once more tries once more
    assert world.run().state is DONE


def test_a_later_deploy_supersedes_and_the_way_back_is_the_last_healthy_version():
    world = deployed(count=4)
    world.deploy(count=4, image="nginx:2")
    while 1 not in world.versions() or 0 not in world.versions():
        world.tick()
    first = world.deployment()
    world.deploy(count=4, image="nginx:bad")
    assert world.view.of(Deployments).get(first.id).state is DeploymentState.SUPERSEDED
    row = world.run(failing(2), watch=lambda: len(world.ready()) >= 4 or pytest.fail("below the floor"))
    assert (row.state, row.from_version) == (BACK, 0)
    assert world.versions() == [0, 0, 0, 0]


@pytest.mark.parametrize(("canary", "said"), [(1, "its 1 canary is ready: "), (2, "its 2 canaries are ready: ")])
def test_canaries_wait_for_a_word(canary, said):
    world = deployed(count=5)
    world.deploy(count=5, image="nginx:2", update=UpdatePolicy(canary=canary, parallelism=0))
    for _ in range(30):
        world.tick()
    assert world.versions().count(1) == canary
    assert world.waits["web"] == f"{said}'orion promote web' has the rest follow"
    world.promote()
    assert world.run().state is DONE
    assert world.versions() == [1] * 5


def test_canaries_are_promoted_by_themselves_if_asked():
    world = deployed(count=5)
    world.deploy(count=5, image="nginx:2", update=UpdatePolicy(canary=2, auto_promote=True))
    assert world.run().state is DONE


def test_a_canary_that_is_passed_over_holds_nobody_once_another_is_done():
    world = deployed(count=4)
    policy = UpdatePolicy(canary=1, auto_promote=True, failure_action=FailureAction.CONTINUE)
    world.deploy(count=5, image="nginx:2", update=policy)  # the fifth task is of the new version at once
    row = world.run(lambda a: failing(1)(a) if a.index == 0 else None)
    assert row.state is FAILED
    assert row.reason.startswith("1 of 5 failed: web/0 on ")
    assert world.versions() == [0, 1, 1, 1, 1]


def test_scaling_takes_the_highest_and_gives_the_lowest_free():
    world = deployed(count=5)
    world.scale(2)
    assert world.run().state is DONE
    assert [a.index for a in world.active()] == [0, 1]
    assert len(world.view.job_record("web").slots) == 2
    world.scale(4)
    assert world.run().state is DONE
    assert [a.index for a in world.active()] == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [0, 2, 4, 7])
def test_a_job_that_is_put_with_another_count_is_as_a_snapshot_has_it(count):
    world = deployed(count=5)
    world.deploy(count=count)  # World.do compares the state with what a snapshot of it gives
    assert world.run().state is DONE
    assert [a.index for a in world.active()] == list(range(count))


def test_scaling_in_the_middle_of_an_update():
    world = deployed(count=5)
    world.deploy(count=5, image="nginx:2")
    while world.versions().count(1) < 3:
        world.tick()
    world.scale(2)
    assert world.run().state is DONE
    assert world.versions() == [1, 1]
    world.scale(0)
    assert world.run().state is DONE
    assert world.active() == []


def test_a_rollback_asked_for_goes_to_the_last_healthy_version():
    world = deployed()
    world.deploy(image="nginx:2")
    world.run()
    world.roll_back()
    row = world.run()
    assert (row.state, row.kind, row.to_version) == (DONE, DeploymentKind.ROLLBACK, 0)
    assert world.versions() == [0, 0, 0]
    assert isinstance(world.roll_back(7).result, Refused)
    assert isinstance(world.roll_back(0).result, Conflict)
    world.deploy(image="nginx:3")
    world.run()
    assert world.versions() == [2, 2, 2]


def test_a_restart_replaces_each_task_by_one_of_the_same_spec():
    world = deployed()
    before = {a.id for a in world.active()}
    world.restart()
    assert world.run(watch=lambda: len(world.ready()) >= 3 or pytest.fail("below the floor")).state is DONE
    assert not before & {a.id for a in world.active()}


def test_of_tasks_that_have_begun_one_that_is_not_ready_says_what_is_waited_for():
    world = Rollout(nodes=1)
    world.deploy(count=2, ports=(PortBinding(80, "tcp", 8080),))
    for _ in range(10):
        world.tick(lambda each: {"state": "running", "started_at_ms": 1, "ready_since_ms": 5})
    shown = render_jobs.deployment_view(world.view, world.deployment())
    assert shown.reason == "web/1 waits: port 8080 is taken on 1 of 1 nodes"


def test_a_rollback_says_which_version_the_job_was_at():
    world = deployed()
    world.deploy(image="nginx:2")
    world.run()
    world.roll_back()
    world.run()
    rows = [(row.before, row.to_version) for row in render_jobs.deployments(world.view, ALL)[0]]
    assert rows == [(1, 0), (0, 1), (None, 0)]


def test_what_makes_no_progress_ends():
    world = deployed()
    world.deploy(image="nginx:2", resources=Resources(9_999), update=UpdatePolicy(progress_deadline_ms=60_000))
    row = world.run(ticks=200, watch=lambda: len(world.ready()) >= 3 or pytest.fail("one has ended for nothing"))
    assert row.state is BACK
    words = "nothing has come of it for 60 s: web/0 has its turn once its new task has a place: needs 9.999 cores;"
    assert row.reason.startswith(words), row.reason
    assert world.versions() == [0, 0, 0]


def test_a_version_is_asked_for_by_number():
    world = deployed()
    assert isinstance(world.deploy(image="nginx:2", if_version=4).result, Conflict)
    assert world.deploy(image="nginx:2", if_version=0).result == "web"


def test_a_stopped_job_is_started_with_its_new_spec():
    world = deployed()
    world.stop("web")
    world.tick()
    world.deploy(image="nginx:2")
    assert world.run().state is DONE
    assert world.versions() == [1, 1, 1]


def test_it_is_stopped_and_removed_in_the_middle():
    for end in ("stop", "rm"):
        world = deployed()
        world.deploy(image="nginx:2")
        world.tick()
        world.tick()
        getattr(world, end)("web")
        assert world.deployment().state is DeploymentState.SUPERSEDED


def test_room_that_is_taken_in_the_middle_ends_nothing_below_the_floor():
    policy = UpdatePolicy(min_available=3)
    world = deployed(resources=Resources(1_500), update=policy)
    world.deploy(image="nginx:2", resources=Resources(1_500), update=policy)
    world.lead()  # the first slot begins, and another job takes the room that it was to have
    world.create("other", count=3, resources=Resources(2_500))
    for _ in range(20):
        world.tick()
        assert len(world.ready()) >= 3


def test_deploys_that_overtake_each_other_leave_two_tasks_in_a_slot_at_most():
    world = deployed(count=1)
    for number in range(2, 8):
        world.deploy(count=1, image=f"nginx:{number}", update=UpdatePolicy(monitor_ms=60_000))
        for _ in range(2):
            world.tick(ms=10)
        assert len([each for each in world.active() if each.wanted]) <= 3
    world.tick(ms=10)
    assert len([each for each in world.active() if each.wanted]) <= 2
    assert world.run().state is DONE


def test_a_job_that_is_still_stopping_starts_with_its_new_spec_once_it_has_ended():
    world = deployed()
    world.stop("web")
    world.deploy(image="nginx:2", count=2)
    world.deploy(image="nginx:3", count=4)
    assert [view.state for view in render.tasks(world.view, ALL)[0]] == ["pending"] * 4
    assert world.run().state is DONE
    assert world.versions() == [2] * 4
    world.deploy(image="nginx:4", count=4)
    assert world.run().state is DONE


def test_a_job_of_no_tasks_that_is_changed_is_as_a_snapshot_has_it():
    world = Rollout()
    world.deploy(count=0)
    world.deploy(count=0, image="nginx:2")  # World.do compares the state with what a snapshot of it gives
    world.scale(2)
    assert world.run().state is DeploymentState.DONE
    assert world.versions() == [1, 1]


@pytest.mark.parametrize("parallelism", [1, 2, 0])
def test_room_for_one_more_is_enough_to_miss_none(parallelism):
    spec = {"resources": Resources(1_300), "update": UpdatePolicy(parallelism=parallelism)}  # three fit on a node
    world = deployed(count=8, **spec)
    world.deploy(count=8, image="nginx:2", **spec)
    assert world.run(watch=lambda: len(world.ready()) >= 8 or pytest.fail("fewer are ready")).state is DONE
    assert world.versions() == [1] * 8


def test_a_job_that_grows_again_before_what_was_too_many_has_ended_gets_all_of_its_tasks():
    world = deployed(count=4)
    world.scale(1)
    world.lead()
    fewer = [each for each in world.active() if each.index]
    for each in fewer[:2]:
        world.report(each, "stopped")
    assert len(world.view.job_record("web").slots) == 4, "the last has not ended yet"
    world.scale(4)
    assert world.view.open_slots("web", 9) == [1, 2, 3]
    assert world.run().state is DONE
    assert len(world.ready()) == 4


@pytest.mark.parametrize(
    ("one", "other", "opened"),
    [(UpdateOrder.STOP_FIRST, UpdateOrder.AUTO, [0]), (UpdateOrder.AUTO, UpdateOrder.STOP_FIRST, [])],
)
def test_another_order_counts_for_what_is_ending_already(one, other, opened):
    world = deployed(count=1, update=UpdatePolicy(order=one))
    world.stop_allocations(world.active()[0].id)
    assert world.view.open_slots("web", 9) == ([] if opened else [0])
    world.deploy(count=1, update=UpdatePolicy(order=other))
    assert world.view.open_slots("web", 9) == opened


def test_a_task_on_its_way_back_is_not_kept_waiting_by_why_its_new_version_had_no_place():
    policy = UpdatePolicy(order=UpdateOrder.STOP_FIRST, progress_deadline_ms=5_000, monitor_ms=1_000)
    world = deployed(count=1, nodes=1, update=policy)
    world.deploy(count=1, update=policy, resources=Resources(9_000))

    def plan():
        """As the leader does while nothing is freed: what was refused is not tried again."""
        made = schedule(world.view, world.view.jobs_to_place())
        if not made.empty:
            world.do(made.command(world.now_ms))
        return not made.empty

    world.plan = plan
    assert world.run().state is BACK
    assert world.versions() == [0]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_job_that_is_changed_before_the_removed_one_of_its_name_has_ended_does_not_take_that_over(stopped):
    world = deployed(count=1)
    (former,) = world.active()
    world.do(RemoveJob(100, "web", "remove", world.index))
    world.deploy(count=1)
    if stopped:
        world.stop()
    world.deploy(count=2, image="nginx:2")
    record = world.view.job_record("web")
    assert record.job.stopping
    assert (record.latest.task.image, record.latest.count, record.latest.stopped) == ("nginx:2", 2, False)
    assert [each.id for each in world.active()] == [former.id]
    world.report(former, "stopped")
    assert world.run().state is DONE
    assert len(world.ready()) == 2
    assert {each.job_version for each in world.active()} == {world.view.job("web").version}
    assert world.deployment().from_version == -1, "there is none of its own to go back to"


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_change_of_a_job_that_was_to_start_again_stays_when_it_is_stopped_once_more(count):
    world = deployed()
    former = world.active()
    world.stop()
    world.start()
    world.deploy(count=count, image="nginx:2")
    world.stop()
    job = world.view.job("web")
    assert (job.version, job.count, job.task.image, job.stopped) == (1, count, "nginx:2", True)
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)
    for each in former:
        world.report(each, "stopped")
    assert world.active() == []
    world.start()
    for _ in range(3):
        world.tick()
    assert world.versions() == [1] * count


def test_a_job_has_tasks_of_so_many_versions_at_most(monkeypatch):
    monkeypatch.setattr(job_changes, "MAX_VERSIONS", 12)
    world = deployed(count=14)
    stuck = UpdatePolicy(monitor_ms=60_000, failure_action=FailureAction.CONTINUE)
    slow = lambda a: {"state": "running", "started_at_ms": 1} if not a.wanted else None  # noqa: E731
    refused = None
    for number in range(2, 16):
        refused = world.deploy(count=14, image=f"nginx:{number}", update=stuck).result
        if isinstance(refused, Conflict):
            break
        for _ in range(3):
            world.tick(slow, ms=10)
    assert refused.detail.startswith("web has tasks of 12 versions that have not ended: wait")
    assert isinstance(world.restart().result, Conflict)
    assert world.scale(3).result == "web"
    assert world.run(ms=30_000).state is DONE
    assert world.deploy(count=3, image="nginx:99").result == "web"


@pytest.mark.parametrize("order", [UpdateOrder.START_FIRST, UpdateOrder.STOP_FIRST])
def test_a_step_that_was_decided_before_a_task_was_lost_ends_none_below_the_floor(order):
    policy = UpdatePolicy(order=order, min_available=2)
    world = deployed(update=policy)
    world.deploy(image="nginx:2", update=policy)
    row, (lost, going, _) = world.deployment(), world.active()
    world.report(lost, "failed", reason="it crashed")
    assert len(world.ready()) == 2
    world.do(StepDeployment(100, row.id, (going.index,), (going.id,), order is UpdateOrder.STOP_FIRST))
    assert len(world.ready()) == 2
    world.report(world.active()[0], "failed", reason="so did the next")
    world.do(StepDeployment(100, row.id, (), tuple(each.id for each in world.active()), alone=False))
    assert [each.wanted for each in world.active()] == [True, True][: len(world.active())]


def test_the_way_back_leads_past_versions_that_failed():
    world = deployed(image="nginx:1")
    for number in range(6):
        world.deploy(image=f"nginx:bad{number}")
        assert world.run(failing(world.view.job("web").version)).state is BACK
    world.deploy(image="nginx:2")
    assert world.run().state is DONE
    shown = {each.version: (each.healthy, each.failed) for each in render_jobs.versions(world.view, "web")}
    assert shown == {7: (True, False), 0: (True, False), **dict.fromkeys(range(1, 7), (False, True))}
    assert world.roll_back().result == "web"
    assert world.view.job("web").version == 0
    assert world.run().state is DONE


def test_the_way_back_is_the_version_before_and_not_the_one_before_that():
    world = deployed(image="nginx:1")
    for number in (2, 3):
        world.deploy(image=f"nginx:{number}")
        assert world.run().state is DONE
    world.scale(4)
    assert world.run().state is DONE
    world.roll_back()
    assert world.view.job("web").task.image == "nginx:2"


def test_there_is_no_way_back_to_versions_that_all_failed():
    world = Rollout()
    world.deploy(image="nginx:bad")
    assert world.run(failing(0)).state is FAILED
    world.deploy(image="nginx:2")
    assert world.run().state is DONE
    refused = world.roll_back().result
    assert isinstance(refused, Refused)
    assert refused.detail == "web has no former version that was healthy; kept are: 0"
