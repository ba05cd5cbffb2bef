"""Jobs that come after others: when a condition holds, who is placed when, and what a deployment waits for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_kit import Rollout

from orion.model.after import MAX_AFTER, After, Condition, Gap, JobWait
from orion.model.deployment import DeploymentState
from orion.model.errors import Refused
from orion.model.health import CheckKind, Health, HealthCheck
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.placement import waits_of
from orion.model.placement_rules import Alongside, PlacementRules
from orion.model.resources import Resources
from orion.model.schedule import Schedule
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.node.views import render, render_jobs
from orion.scheduler.retry_rotation import RetryRotation
from orion.scheduler.schedule import schedule
from orion.state.order import circle
from orion.state.sound import fault_of
from orion.state.tables.job_changes import PutJob
from orion.state.tables.jobs import CreateJob, RemoveJob
from orion.state.wait_index import WaitIndex

STARTED, HEALTHY, COMPLETED = Condition
CHECK = HealthCheck(CheckKind.TCP, 80)


def after(job, condition=HEALTHY, *, required=True):
    return After(job, condition, required)


class Ordered(Rollout):
    """`web` waits; what it waits for does as a test says."""

    def run_of(self, name, state="running", index=0, **status):
        """Its newest run is in this state now."""
        self.report(self.view.allocations_of_slot(name, index)[-1], state, **status)

    def ready(self, name):
        self.run_of(name, started_at_ms=1, ready_since_ms=2, health=Health.HEALTHY)

    def gaps(self, name="web"):
        return [wait.gap for wait in waits_of(self.view.refusal(name))]

    def placed(self, name="web"):
        self.plan()
        return sum(not each.terminal for each in self.view.allocations_of_job(name))


def test_a_task_is_not_placed_before_what_it_comes_after_is_ready():
    world = Ordered()
    world.deploy("db", 1, health=CHECK)
    world.deploy("web", 2, after=(after("db"),))
    assert world.placed() == 0
    assert world.gaps() == [Gap.NOT_YET]
    world.run_of("db", started_at_ms=1, health=Health.STARTING)
    assert world.placed() == 0
    epoch = world.view.capacity_epoch
    world.ready("db")
    assert world.view.capacity_epoch != epoch, "those that wait are looked at again"
    assert world.placed() == 2


@pytest.mark.parametrize(
    "task",
    [{"after": (After("db", HEALTHY, True),)}, {"rules": PlacementRules(alongside=Alongside("db"))}],
    ids=["after", "alongside"],
)
def test_what_is_ready_while_the_refusal_is_on_its_way_is_seen(task):
    """The plan was made before db ran; when it is carried out, nobody was yet noted as waiting for db."""
    world = Ordered()
    world.deploy("db", 1)
    world.plan()
    world.deploy("web", 1, **task)
    turns = RetryRotation()
    plan = schedule(world.view, world.view.jobs_to_place())
    turns.batch(world.view, (0, world.view.capacity_epoch), 10)
    world.run_of("db", started_at_ms=1)
    turns.taken(())
    world.do(plan.command(world.now_ms))
    assert world.view.job_record("web").refusal
    assert turns.batch(world.view, (0, world.view.capacity_epoch), 10) == ["web"]
    assert world.placed() == 1


def test_without_a_health_check_it_is_ready_as_soon_as_it_runs():
    world = Ordered()
    world.deploy("db", 1)
    world.deploy("web", 1, after=(after("db"),))
    assert world.placed() == 0
    world.run_of("db", started_at_ms=1)
    assert world.placed() == 1


def test_one_task_of_several_that_is_ready_is_enough():
    """A cluster that has lost a node for good could not come up else."""
    world = Ordered()
    world.deploy("db", 3, health=CHECK, resources=Resources(4_000))
    world.down("node3")
    world.deploy("web", 1, after=(after("db"),))
    assert world.placed() == 0
    world.ready("db")
    assert world.placed() == 1


def test_a_batch_has_completed_once_all_of_its_tasks_have():
    world = Ordered()
    world.deploy("migrate", 2, kind=JobKind.BATCH)
    world.deploy("web", 1, after=(after("migrate", COMPLETED),))
    world.placed()
    for index in range(2):
        assert world.placed() == 0
        world.run_of("migrate", "completed", index, exit_code=0)
    assert world.placed() == 1


def test_what_completed_has_started_and_its_node_may_die():
    world = Ordered()
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.placed()
    world.run_of("migrate", "completed", exit_code=0)
    world.down(world.view.allocations_of_slot("migrate", 0)[0].node)
    world.deploy("web", 1, after=(after("migrate", COMPLETED),))
    world.deploy("app", 1, after=(after("migrate", STARTED),))
    assert (world.placed("web"), world.placed("app")) == (1, 1)


def test_a_changed_batch_is_waited_for_in_its_new_version():
    world = Ordered()
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.placed()
    world.run_of("migrate", "completed", exit_code=0)
    world.deploy("migrate", 1, "nginx:2", kind=JobKind.BATCH)
    world.deploy("web", 1, after=(after("migrate", COMPLETED),))
    world.lead()
    assert world.placed() == 0
    assert world.gaps() == [Gap.NOT_YET]
    world.run_of("migrate", "completed", exit_code=0)
    assert world.placed() == 1


def failed(world):
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.placed()
    world.run_of("migrate", "failed", exit_code=1)


def stopped(world):
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.stop("migrate")


def cron(world):
    job = Job(
        "migrate", JobKind.CRON, 1, TaskSpec("a"), schedule=Schedule("* * * * *", "UTC"), update=UpdatePolicy()
    )
    world.do(PutJob(100, job, "cron", world.index))


def system(world):
    world.deploy("migrate", 0, kind=JobKind.SYSTEM)


@pytest.mark.parametrize(
    ("make", "gap", "required_only"),
    [
        (lambda _: None, Gap.ABSENT, True),
        (stopped, Gap.STOPPED, True),
        (failed, Gap.FAILED, True),
        (cron, Gap.CRON, False),
        (system, Gap.ENDLESS, False),
    ],
)
def test_what_will_not_come_is_said_and_waited_for_only_if_it_is_required(make, gap, required_only):
    world = Ordered()
    make(world)
    world.deploy("web", 1, after=(after("migrate", COMPLETED),))
    world.deploy("app", 1, after=(after("migrate", COMPLETED, required=False),))
    assert world.placed("web") == 0
    assert world.gaps() == [gap]
    assert world.placed("app") == (1 if required_only else 0)


def test_what_has_ended_is_not_healthy():
    world = Ordered()
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.placed()
    world.run_of("migrate", "completed", exit_code=0)
    world.deploy("web", 1, after=(after("migrate"),))
    assert world.placed() == 0
    assert world.gaps() == [Gap.ENDED]


def test_a_job_that_is_not_there_yet_is_waited_for_and_its_coming_is_seen():
    world = Ordered()
    world.deploy("web", 1, after=(after("db", STARTED),))
    assert world.placed() == 0
    (task,) = render.tasks(world.view, render.ALL)[0]
    assert (task.state, task.reason) == (
        "waiting",
        "waits for db to be started (there is no job of that name), since 00:00:01 UTC",
    )
    assert [(w.job, w.why) for w in task.placement_failure.waits_for] == [("db", "absent")]
    since = waits_of(world.view.refusal("web"))[0].since_ms
    world.now_ms += 60_000
    world.deploy("db", 1)
    world.plan()
    assert world.gaps() == [Gap.NOT_YET]
    assert waits_of(world.view.refusal("web"))[0].since_ms == since == 1_000
    shown = render_jobs.job(world.view, "web")
    assert shown.reason == "1 of 1 task waits for db to be started, since 00:00:01 UTC"
    assert shown.deployment.reason == "web/0 waits for db to be started, since 00:00:01 UTC"
    world.run_of("db", started_at_ms=1)
    assert world.placed() == 1


def test_a_job_that_is_removed_is_no_longer_waited_for_unless_it_is_required():
    world = Ordered()
    world.deploy("db", 1)
    world.deploy("web", 1, after=(after("db", required=False),))
    world.deploy("app", 1, after=(after("db"),))
    world.plan()
    assert world.placed("web") == world.placed("app") == 0
    world.do(RemoveJob(100, "db", "remove", world.index))
    world.run_of("db", "stopped")
    assert (world.placed("web"), world.placed("app")) == (1, 0)


# --- what has begun ----------------------------------------------------------------------------------------


def test_a_task_that_replaces_one_waits_only_while_nothing_of_its_version_runs():
    world = Ordered()
    world.deploy("db", 1, health=CHECK)
    world.deploy("web", 2, after=(after("db"),))
    world.plan()
    world.ready("db")
    assert world.placed() == 2
    for index in range(2):
        world.run_of("web", index=index, started_at_ms=1)
    world.run_of("db", started_at_ms=1, health=Health.UNHEALTHY)
    assert len(world.active("web")) == 2, "what runs is not stopped"
    first, second = world.active("web")
    world.report(first, "lost")
    assert world.placed() == 2, "the other one runs"
    for each in world.active("web"):
        world.report(each, "lost")
    assert world.placed() == 0
    assert world.gaps() == [Gap.NOT_YET]
    world.ready("db")
    assert world.placed() == 2
    assert second.index == 1


def test_the_rest_of_a_job_is_placed_once_its_first_task_runs():
    world = Ordered()
    world.deploy("db", 1, health=CHECK)
    world.deploy("web", 2, after=(after("db"),))
    world.plan()
    world.ready("db")
    world.plan()
    world.run_of("db", started_at_ms=1, health=Health.UNHEALTHY)
    one, other = world.active("web")
    world.report(other, "lost")
    assert world.placed() == 1
    world.report(one, "running", started_at_ms=1)
    assert world.placed() == 2


def test_a_system_job_waits_on_all_nodes():
    world = Ordered()
    world.deploy("web", 0, kind=JobKind.SYSTEM, after=(after("db"),))
    assert world.placed() == 0
    world.deploy("db", 1)
    world.plan()
    world.run_of("db", started_at_ms=1)
    assert world.placed() == 3


def test_who_waits_takes_no_room_from_what_it_waits_for():
    world = Ordered(1)
    world.deploy("web", 1, after=(after("db"),), resources=Resources(4_000))
    assert world.placed() == 0
    world.deploy("db", 1, resources=Resources(4_000))
    assert world.placed("db") == 1


# --- deployments -------------------------------------------------------------------------------------------


def both(world, ms=1_000, ticks=30):
    for _ in range(ticks):
        world.tick(ms=ms)


@pytest.mark.parametrize("order", UpdateOrder)
def test_an_update_ends_no_task_before_the_new_one_may_start(order):
    world = Ordered()
    policy = UpdatePolicy(order=order, monitor_ms=1_000, progress_deadline_ms=8_000)
    world.deploy("web", 1, update=policy)
    both(world)
    world.deploy("migrate", 1, kind=JobKind.BATCH)
    world.deploy("web", 1, "nginx:2", update=policy, after=(after("migrate", COMPLETED),))
    both(world)
    assert world.versions("web") == [0]
    assert world.deployment("web").state is DeploymentState.RUNNING, "the time is the other one's"
    assert world.waits["web"].startswith("web/0 waits for migrate to be completed, since ")
    assert render_jobs.job(world.view, "web").deployment.reason == world.waits["web"]
    world.run_of("migrate", "completed", exit_code=0)
    both(world)
    assert world.versions("web") == [1]
    assert world.deployment("web").state is DeploymentState.DONE


def test_once_it_has_begun_the_time_for_progress_runs():
    world = Ordered()
    policy = UpdatePolicy(progress_deadline_ms=5_000)
    world.deploy("db", 1, health=CHECK)
    world.deploy("web", 1, update=policy, after=(after("db"),), health=CHECK)
    both(world)
    assert world.deployment("web").state is DeploymentState.RUNNING
    world.ready("db")
    both(world)
    assert world.deployment("web").state is DeploymentState.FAILED


# --- circles -----------------------------------------------------------------------------------------------


def put(world, name, *jobs):
    spec = TaskSpec("nginx", after=tuple(map(after, jobs)))
    job = Job(name, JobKind.SERVICE, 1, spec, created_at_ms=1, update=UpdatePolicy())
    return PutJob(100, job, f"put {name} {world.index}", world.index)


def test_jobs_that_would_wait_for_each_other_are_refused_by_name():
    world = Ordered()
    world.do(put(world, "a", "b"))
    world.do(put(world, "b", "x", "c"))
    refusal = world.do(put(world, "c", "a")).result
    assert isinstance(refusal, Refused)
    assert "c -> a -> b -> c" in refusal.detail
    assert "c" not in world.state.jobs
    world.do(put(world, "c"))
    assert isinstance(world.do(put(world, "c", "a")).result, Refused), "a change, too"
    assert world.view.job("c").version == 0
    assert "a -> a" in world.do(put(world, "a", "a")).result.detail
    world.do(put(world, "b", "x"))
    assert world.do(put(world, "c", "a")).result == "c"
    assert isinstance(world.roll_back(0, "b").result, Refused), "and the way back"


def test_a_task_alone_is_refused_as_a_job_is():
    world = Ordered()
    world.do(put(world, "a", "b"))
    job = Job("b", JobKind.SERVICE, 1, TaskSpec("nginx", after=(after("a"),)))
    assert isinstance(world.do(CreateJob(100, job, "b", world.index)).result, Refused)


NAMES = "abcde"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12))
def test_whatever_is_asked_for_no_circle_comes_about_and_none_is_refused_without_one(pairs):
    world = Ordered(0)
    edges: dict[str, set[str]] = {}
    for one, other in pairs:
        if one == other:
            continue
        wanted = {*edges.get(one, ()), other}
        answer = world.do(put(world, one, *sorted(wanted))).result
        closes = leads(edges | {one: wanted}, other, one)
        assert isinstance(answer, Refused) == closes
        if not closes:
            edges[one] = wanted
    for name in edges:
        assert not circle(world.state.jobs.get, world.view.job(name))


def leads(edges, start, end):
    seen, left = set(), [start]
    while left:
        name = left.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            left += edges.get(name, ())
    return False


# --- bounds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "jobs", [tuple(f"j{n}" for n in range(MAX_AFTER + 1)), ("db", "db"), ("Db",)], ids=["many", "twice", "name"]
)
def test_a_log_holds_no_order_that_no_client_may_ask_for(jobs):
    assert "after" in fault_of(put(Ordered(), "web", *jobs))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sets(st.sampled_from("abcd"), max_size=3))))
def test_the_index_of_who_is_waited_for_is_what_the_waits_say(changes):
    index, waits = WaitIndex(), {}
    for waiter, jobs in changes:
        index.put(waiter, jobs)
        waits[waiter] = jobs
        awaited = set().union(*waits.values())
        assert {job for job in "abcd" if job in index} == awaited
        assert bool(index) == bool(awaited)


def test_a_wait_is_the_same_whenever_it_began():
    assert JobWait("db", HEALTHY, Gap.ABSENT, 5).key == JobWait("db", HEALTHY, Gap.NOT_YET, 9).key
