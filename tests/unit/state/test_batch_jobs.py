"""A batch job does its work once: what failed is not taken back, nothing runs twice at a time, again is again."""

from msgspec.structs import replace
from rollout_kit import Rollout
from test_plans import plan_of

from orion.model.after import After, Condition, Gap
from orion.model.allocation import AllocationState
from orion.model.deployment import DeploymentState
from orion.model.errors import Conflict
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.placement import waits_of
from orion.model.schedule import Schedule
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.node.leader.collection import is_over
from orion.node.views.plans import refuse_infeasible
from orion.reconcile.deployments import what_it_waits_for
from orion.state.order import has_completed
from orion.state.tables.cron import CollectJobs, RunJob
from orion.state.tables.job_changes import PutJob
from orion.state.tables.jobs import CreateJob

DONE, FAILED = DeploymentState.DONE, DeploymentState.FAILED
AFTER = (After("migrate", Condition.COMPLETED, required=True),)
LATER = 1 << 50


class BatchWorld(Rollout):
    def batch(self, image="migrate:1", **more):
        return self.deploy("migrate", image=image, kind=JobKind.BATCH, **{"count": 1} | more)

    def end(self, state="completed", **more):
        return self.report(self.newest("migrate"), state, started_at_ms=200, finished_at_ms=300, **more)

    def lead_on(self, times=5):
        for _ in range(times):
            self.plan()
            self.lead()
            self.now_ms += 10_000

    def completed(self, image="migrate:1"):
        self.batch(image)
        self.lead_on(1)
        self.end(exit_code=0)
        self.lead_on()
        assert self.deployment("migrate").state is DONE

    def run_again(self):
        return self.do(RunJob(100, "migrate", f"run {self.index}", self.index)).result

    def collect(self):
        record = self.view.job_record("migrate")
        return self.do(CollectJobs(900, (("migrate", record.job.created_index),))).events

    def record(self):
        return self.view.job_record("migrate")


def test_a_batch_that_failed_is_not_taken_back_and_what_comes_after_it_waits():
    world = BatchWorld()
    world.completed()
    world.batch("migrate:2")
    world.deploy("web", 1, after=AFTER)
    world.lead_on(2)
    world.end("failed", exit_code=1, reason="exit code 1")
    world.lead_on()
    row = world.deployment("migrate")
    assert (row.state, row.reason) == (FAILED, f"migrate/0 on {world.newest('migrate').node}: exit code 1")
    assert world.view.job("migrate").version == 1
    assert [wait.gap for wait in waits_of(world.view.refusal("web"))] == [Gap.FAILED]


def test_one_that_failed_is_not_called_completed_by_its_former_version():
    world = BatchWorld()
    world.completed()
    world.batch("migrate:2")
    world.lead_on(2)
    world.end("failed", exit_code=1)
    world.lead_on()
    assert not is_over(world.record(), LATER)
    assert world.collect() == ()
    assert not has_completed(world.record())


def test_a_completed_batch_runs_again_when_somebody_says_so():
    world = BatchWorld()
    world.completed()
    before = world.newest("migrate")
    assert world.run_again() == "migrate"
    assert not has_completed(world.record())
    assert isinstance(world.run_again(), Conflict)
    world.plan()
    again = world.newest("migrate")
    assert again.id != before.id
    world.end(exit_code=0)
    assert has_completed(world.record())
    world.batch()
    assert not world.plan(), "the same file asks for nothing new"


def test_a_collected_batch_is_restarted_and_changed_in_what_runs_nothing():
    world = BatchWorld()
    world.completed()
    assert world.collect()
    assert isinstance(world.roll_back(0, "migrate").result, Conflict)
    world.batch(update=UpdatePolicy(monitor_ms=1_000))
    world.lead_on()
    assert world.deployment("migrate").state is DONE
    assert not world.plan()
    world.restart("migrate")
    world.lead_on(1)
    assert world.newest("migrate").status.state is AllocationState.SCHEDULED
    world.end(exit_code=0)
    world.lead_on()
    assert world.deployment("migrate").state is DONE


def test_another_version_of_a_batch_that_runs_waits_for_its_end():
    world = BatchWorld()
    world.batch()
    world.lead_on(1)
    world.report(world.newest("migrate"), "running", started_at_ms=1)
    world.lead_on()
    former = world.newest("migrate")
    world.batch("migrate:2")
    world.lead_on()
    assert world.active("migrate") == [world.state.allocations[former.id]]
    assert not world.state.allocations[former.id].wanted
    world.report(former, "stopped")
    world.lead_on(1)
    assert world.newest("migrate").job_version == 1
    world.end(exit_code=0)
    world.lead_on()
    assert world.deployment("migrate").state is DONE


def test_going_back_to_a_version_that_has_completed_ends_the_one_that_runs():
    world = BatchWorld()
    world.completed()
    world.batch("migrate:2")
    world.lead_on(2)
    running = world.newest("migrate")
    world.report(running, "running", started_at_ms=1)
    world.roll_back(0, "migrate")
    world.lead_on(2)
    assert not world.state.allocations[running.id].wanted
    world.report(running, "stopped")
    world.lead_on()
    assert world.deployment("migrate").state is DONE, world.waits
    assert world.newest("migrate").id == running.id, "its work is done"


def test_a_service_of_no_tasks_has_not_ended():
    world = BatchWorld()
    world.deploy("db", 1)
    world.lead_on()
    world.scale(0, "db")
    for each in world.active("db"):
        world.report(each, "stopped")
    world.deploy("web", 1, after=(After("db", Condition.COMPLETED, required=True),))
    world.plan()
    assert [wait.gap for wait in waits_of(world.view.refusal("web"))] == [Gap.STOPPED]
    job = world.view.job("db")
    assert isinstance(world.do(CreateJob(100, job, "create", world.index)).result, Conflict)


def test_all_of_a_batch_that_runs_is_exchanged():
    world = BatchWorld()
    world.batch(count=3)
    world.lead_on(1)
    for each in world.active("migrate"):
        world.report(each, "running", started_at_ms=1)
    world.lead_on(3)
    former = world.active("migrate")
    world.batch("migrate:2", count=3)
    for _ in range(20):
        world.lead_on(1)
        for each in world.active("migrate"):
            if each in former or not each.wanted:
                if not each.wanted:
                    world.report(each, "stopped")
            else:
                world.report(each, "completed", exit_code=0, started_at_ms=200, finished_at_ms=300)
    assert world.deployment("migrate").state is DONE
    assert has_completed(world.record())


def test_what_failed_runs_no_more_once_another_version_is_put():
    world = BatchWorld()
    world.completed()
    world.batch("migrate:2")
    world.lead_on(1)
    world.end("failed", exit_code=1)
    world.lead_on()
    world.batch("migrate:3")
    assert world.plan()
    assert world.newest("migrate").job_version == 2


def test_what_is_held_ends_nothing_and_is_neither_completed_nor_collected():
    world = BatchWorld()
    world.completed()
    world.deploy("web", 1, after=AFTER)
    world.batch("migrate:2", after=(After("db", Condition.HEALTHY, required=True),))
    world.lead_on()
    assert [wait.gap for wait in waits_of(world.view.refusal("web"))] in ([], [Gap.NOT_YET])
    assert not has_completed(world.record())
    assert not is_over(world.record(), LATER)
    assert world.collect() == ()
    assert isinstance(world.run_again(), Conflict), "it has yet to run"


def test_what_runs_goes_on_while_the_version_that_follows_is_held():
    world = BatchWorld()
    world.batch()
    world.lead_on(1)
    world.report(world.newest("migrate"), "running", started_at_ms=1)
    world.lead_on(3)
    world.batch("migrate:2", after=(After("db", Condition.HEALTHY, required=True),))
    world.lead_on()
    (running,) = world.active("migrate")
    assert (running.job_version, running.wanted) == (0, True)


def test_one_that_is_to_run_again_is_no_concern_of_a_deployment():
    world = BatchWorld()
    world.batch()
    world.lead_on(1)
    world.end(exit_code=0)  # its deployment has yet to see it
    assert world.run_again() == "migrate"
    assert world.deployment("migrate").state is DeploymentState.SUPERSEDED
    world.plan()
    again = world.newest("migrate")
    world.lead_on()
    assert world.state.allocations[again.id].wanted


def test_a_run_of_a_cron_job_that_is_restarted_is_not_there_twice():
    world = BatchWorld()
    job = Job(
        "nightly", JobKind.CRON, 1, TaskSpec("backup:1"), update=UpdatePolicy(), schedule=Schedule("* * * * *")
    )
    world.do(PutJob(100, job, "put", world.index))
    name = world.do(RunJob(5_000_000, "nightly", "run", world.index)).result
    world.plan()
    (first,) = world.active(name)
    world.report(first, "running", started_at_ms=1)
    world.restart(name)
    assert not world.plan()
    world.lead_on()
    assert world.active(name) == [world.state.allocations[first.id]]
    world.report(first, "stopped")
    assert world.plan()


def test_a_batch_that_is_exchanged_says_so_before_and_meanwhile():
    world = BatchWorld()
    world.batch()
    world.lead_on(1)
    world.report(world.newest("migrate"), "running", started_at_ms=1)
    world.lead_on(3)
    job = Job(
        "migrate", JobKind.BATCH, 1, TaskSpec("migrate:2"), update=UpdatePolicy(order=UpdateOrder.START_FIRST)
    )
    refuse_infeasible(world.view, job)
    plan = plan_of(world, replace(job, update=UpdatePolicy()))
    assert (plan.order, plan.stops) == ("stop-first", 1)
    world.pull = lambda node, image: None
    world.batch("migrate:2")
    world.lead_on(1)
    row = world.deployment("migrate")
    waits = what_it_waits_for(world.record(), row, lambda: "waits to be placed")
    assert waits == "migrate/0 waits until the former one has ended"
