"""Cron jobs: each time is dealt with once, whatever overlaps, is missed, stopped or removed."""

import pytest
from msgspec.structs import replace
from rollout_kit import Rollout

from orion.model.errors import Conflict, NotFound
from orion.model.firing import Outcome
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.schedule import CatchUp, Overlap, Schedule
from orion.model.update import UpdatePolicy
from orion.state.sound import fault_of
from orion.state.tables.cron import CollectJobs, FireCron, RunJob
from orion.state.tables.cron_rows import MAX_FIRINGS, Crons
from orion.state.tables.deployment_rows import Deployments
from orion.state.tables.job_changes import PutJob

MINUTE = 60_000
RUNNING, COMPLETED, FAILED = Outcome.RUNNING, Outcome.COMPLETED, Outcome.FAILED
SKIPPED, STOPPED, MISSED = Outcome.SKIPPED, Outcome.STOPPED, Outcome.MISSED


class CronWorld(Rollout):
    def __init__(self, nodes=2, **schedule):
        super().__init__(nodes)
        self.cron(**schedule)

    def cron(self, image="backup:1", expression="* * * * *", count=1, name="nightly", **schedule):
        job = Job(
            name,
            JobKind.CRON,
            count,
            TaskSpec(image),
            update=UpdatePolicy(),
            schedule=Schedule(expression, **schedule),
        )
        return self.do(PutJob(100, job, f"put {self.index}", self.index))

    @property
    def row(self):
        return self.view.of(Crons).get("nightly")

    def fire(self, *minutes, former=None, until=None, **more):
        row = self.row
        times = tuple(minute * MINUTE for minute in minutes)
        until = until * MINUTE if until is not None else times[-1]
        former = row.last_ms if former is None else former
        return self.do(FireCron(150, "nightly", row.created_index, former, until, times, **more))

    def run_now(self, name="nightly", at_ms=5_000_000):
        return self.do(RunJob(at_ms, name, f"run {self.index}", self.index))

    def outcomes(self):
        return [(firing.at_ms // MINUTE, firing.outcome) for firing in self.row.firings]

    def end(self, name, state="completed", **more):
        self.plan()
        each = self.newest(name)
        self.report(each, "running", started_at_ms=200)
        each = self.newest(name)
        return self.report(each, state, started_at_ms=200, finished_at_ms=300, **more)


def test_a_time_that_has_come_is_a_batch_job_of_its_own():
    world = CronWorld()
    applied = world.fire(7)
    assert [event.kind for event in applied.events] == ["CronFired"]
    job = world.view.job("nightly-7")
    assert (job.kind, job.count, job.task.image, job.cron) == (JobKind.BATCH, 1, "backup:1", "nightly")
    assert world.outcomes() == [(7, RUNNING)]
    world.end("nightly-7", exit_code=0)
    (firing,) = world.row.firings
    assert (firing.outcome, firing.exit_code, firing.started_ms, firing.ended_ms) == (COMPLETED, 0, 200, 300)
    assert world.view.job("nightly-7") is not None  # its logs can be read


def test_the_cron_job_itself_runs_nothing_and_is_no_deployment():
    world = CronWorld(count=3)
    assert not world.plan()
    assert world.view.of(Deployments).running() == []
    assert world.create("nightly").result.code == "conflict"  # its name is not free


def test_a_failed_run_keeps_its_exit_code_and_reason():
    world = CronWorld()
    world.fire(7)
    world.end("nightly-7", "failed", exit_code=3, reason="exit code 3")
    (firing,) = world.row.firings
    assert (firing.outcome, firing.exit_code, firing.reason) == (FAILED, 3, "exit code 3")


def test_the_same_entry_again_fires_nothing():
    world = CronWorld()
    former, row = world.row.last_ms, world.row
    world.fire(7)
    for _ in range(2):  # of the leader before, of another leader
        world.do(FireCron(150, "nightly", row.created_index, former, 7 * MINUTE, (7 * MINUTE,)))
    assert world.outcomes() == [(7, RUNNING)]


def test_an_entry_for_a_former_job_of_the_name_fires_nothing():
    world = CronWorld()
    former = world.row
    world.rm("nightly")
    world.cron()
    world.do(FireCron(150, "nightly", former.created_index, former.last_ms, 7 * MINUTE, (7 * MINUTE,)))
    assert world.row.firings == ()


def test_a_clock_that_was_put_back_comes_to_a_time_again_and_does_not_fire_it():
    world = CronWorld()
    world.fire(7)
    world.end("nightly-7")
    applied = world.fire(until=3)
    assert [event.kind for event in applied.events] == ["CronClock"]
    world.fire(7)
    assert world.outcomes() == [(7, COMPLETED)]
    assert world.row.last_ms == 7 * MINUTE


# --- overlap -----------------------------------------------------------------------------------------------


def test_what_overlaps_is_skipped_and_said():
    world = CronWorld(overlap=Overlap.SKIP)
    world.fire(7)
    applied = world.fire(8)
    assert [event.kind for event in applied.events] == ["CronSkipped"]
    assert "nightly-7 has not ended" in applied.events[0].text
    assert world.outcomes() == [(7, RUNNING), (8, SKIPPED)]
    world.end("nightly-7")
    world.fire(9)
    assert world.outcomes()[-1] == (9, RUNNING)


def test_what_overlaps_runs_later():
    world = CronWorld(overlap=Overlap.QUEUE)
    world.fire(7)
    world.fire(8)
    world.fire(9)
    assert world.row.queued == (8 * MINUTE, 9 * MINUTE)
    for minute in (7, 8, 9):
        assert world.outcomes()[-1] == (minute, RUNNING)
        world.end(f"nightly-{minute}")
    assert world.row.queued == ()
    assert world.outcomes() == [(7, COMPLETED), (8, COMPLETED), (9, COMPLETED)]


def test_what_overlaps_takes_the_place_of_the_former():
    world = CronWorld(overlap=Overlap.REPLACE)
    world.fire(7)
    world.plan()
    world.fire(8)
    assert world.outcomes() == [(7, RUNNING), (8, RUNNING)]
    assert not world.newest("nightly-7").wanted
    world.report(world.newest("nightly-7"), "stopped", exit_code=143)
    assert world.outcomes() == [(7, STOPPED), (8, RUNNING)]
    world.fire(9)  # nightly-8 was not placed yet
    assert world.outcomes() == [(7, STOPPED), (8, STOPPED), (9, RUNNING)]


def test_several_that_are_made_up_for_run_one_after_the_other():
    world = CronWorld(catch_up=CatchUp.ALL)
    world.fire(7, 8, 9)
    assert world.outcomes() == [(7, RUNNING)]
    world.end("nightly-7")
    world.end("nightly-8", "failed", exit_code=1)
    world.end("nightly-9")
    assert world.outcomes() == [(7, COMPLETED), (8, FAILED), (9, COMPLETED)]


def test_what_was_missed_is_said():
    world = CronWorld()
    applied = world.fire(9, missed=3, missed_from_ms=6 * MINUTE, missed_to_ms=8 * MINUTE)
    missed = next(event for event in applied.events if event.kind == "CronMissed")
    assert "3 runs from 1970-01-01 00:06:00 UTC to 1970-01-01 00:08:00 UTC missed" in missed.text
    assert world.outcomes() == [(6, MISSED), (9, RUNNING)]
    assert (world.row.firings[0].count, world.row.firings[0].to_ms) == (3, 8 * MINUTE)


def test_a_run_on_a_node_that_died_runs_again_elsewhere_and_is_one_run():
    world = CronWorld()
    world.fire(7)
    world.plan()
    dead = world.newest("nightly-7").node
    world.down(dead)
    assert world.outcomes() == [(7, RUNNING)]
    world.end("nightly-7")
    assert world.newest("nightly-7").node != dead
    assert world.outcomes() == [(7, COMPLETED)]


def test_a_run_that_completed_is_not_run_again_when_its_node_dies():
    world = CronWorld()
    world.fire(7)
    world.end("nightly-7")
    world.down(world.newest("nightly-7").node)
    assert not world.plan()
    assert world.state_of("nightly-7") == "completed"


def test_runs_are_remembered_up_to_a_bound_and_never_one_that_runs():
    world = CronWorld()
    world.fire(1)
    for number in range(2, MAX_FIRINGS + 10):
        world.end(world.run_now(at_ms=number * MINUTE).result)
    assert len(world.row.firings) == MAX_FIRINGS
    assert world.outcomes()[0] == (1, RUNNING)
    assert world.outcomes()[1] == (11, COMPLETED)


def test_times_that_are_skipped_one_after_the_other_take_the_place_of_no_run():
    world = CronWorld()
    world.fire(1)
    world.end("nightly-1", "failed", exit_code=3)
    world.fire(2)
    for minute in range(3, MAX_FIRINGS + 10):
        world.fire(minute)
    assert world.outcomes() == [(1, FAILED), (2, RUNNING), (3, SKIPPED)]
    last = world.row.firings[-1]
    assert (last.count, last.to_ms // MINUTE) == (MAX_FIRINGS + 7, MAX_FIRINGS + 9)
    world.end("nightly-2")
    world.fire(20, former=world.row.last_ms, until=19)  # the clock was put back
    assert world.outcomes() == [(1, FAILED), (2, COMPLETED), (3, SKIPPED)]


def test_several_that_are_made_up_for_wait_for_a_run_that_goes_on():
    world = CronWorld()
    world.fire(1)
    world.fire(2, 3)
    assert world.outcomes() == [(1, RUNNING)]
    assert [at_ms // MINUTE for at_ms in world.row.queued] == [2, 3]


# --- a firing ends, whatever becomes of its run --------------------------------------------------------------


def test_a_cron_job_of_no_tasks_skips_its_times_until_it_has_some_again():
    world = CronWorld()
    assert not isinstance(world.scale(0, "nightly").result, Conflict)
    world.fire(1)
    assert world.outcomes() == [(1, SKIPPED)]
    assert isinstance(world.run_now().result, Conflict)
    world.scale(1, "nightly")
    world.fire(2)
    assert world.outcomes()[-1] == (2, RUNNING)


def test_a_run_that_is_scaled_to_nothing_has_ended():
    world = CronWorld()
    world.fire(1)
    world.scale(0, "nightly-1")
    assert world.outcomes() == [(1, COMPLETED)]


def test_a_run_that_is_changed_stays_its_cron_jobs():
    world = CronWorld()
    world.fire(1)
    world.deploy("nightly-1", 1, "backup:2", JobKind.BATCH)
    assert world.view.job("nightly-1").cron == "nightly"
    world.end("nightly-1")
    assert world.outcomes() == [(1, COMPLETED)]


def test_a_run_whose_job_is_gone_holds_nobody():
    world = CronWorld()
    world.fire(1)
    world.state.of(Crons).put(replace(world.row, firings=(replace(world.row.firings[0], job="nightly-0"),)))
    world.fire(2)
    assert world.outcomes() == [(1, STOPPED), (2, RUNNING)]


def test_a_stopped_cron_job_that_is_put_again_has_missed_nothing():
    world = CronWorld()
    world.fire(1)
    version = world.view.of(Crons).version
    world.stop("nightly")
    world.cron("backup:2")
    assert world.view.of(Crons).version > version
    assert world.row.last_ms == 100


def test_a_run_has_its_cron_jobs_priority():
    world = CronWorld()
    job = replace(world.view.job("nightly"), priority=-50)
    world.do(PutJob(100, job, f"put {world.index}", world.index))
    world.fire(1)
    assert world.view.job("nightly-1").priority == -50


# --- stop, start, change, remove, run now ------------------------------------------------------------------


def test_a_stopped_cron_job_fires_nothing_and_its_run_ends():
    world = CronWorld(overlap=Overlap.QUEUE)
    world.fire(7)
    world.fire(8)
    world.plan()
    world.stop("nightly")
    world.report(world.newest("nightly-7"), "stopped")
    world.fire(9)
    assert world.outcomes() == [(7, STOPPED)]
    assert world.row.queued == ()
    world.start("nightly")
    assert world.row.last_ms == 80  # what came while it was stopped is not made up for
    world.fire(10)
    assert world.outcomes() == [(7, STOPPED), (10, RUNNING)]


def test_a_removed_cron_job_takes_its_runs_along():
    world = CronWorld()
    world.fire(6)
    world.end("nightly-6")
    world.fire(7)
    world.plan()
    world.rm("nightly")
    assert world.view.job("nightly-6") is None
    assert world.view.job("nightly") is None
    assert world.row is None
    world.report(world.newest("nightly-7"), "stopped")
    assert world.view.job("nightly-7") is None


def test_a_run_that_is_removed_lets_the_next_one_begin():
    world = CronWorld(overlap=Overlap.QUEUE)
    world.fire(7)
    world.fire(8)
    world.rm("nightly-7")
    assert world.outcomes() == [(7, STOPPED), (8, RUNNING)]


def test_another_spec_is_of_the_next_run_and_another_schedule_counts_from_now():
    world = CronWorld()
    world.fire(7)
    world.cron("backup:2")
    assert world.row.last_ms == 7 * MINUTE
    world.end("nightly-7")
    world.fire(8)
    assert world.view.job("nightly-8").task.image == "backup:2"
    world.cron("backup:2", expression="0 * * * *")
    assert world.row.last_ms == 100
    assert [firing.at_ms // MINUTE for firing in world.row.firings] == [7, 8]


def test_it_is_run_by_hand_beside_its_times():
    world = CronWorld()
    last = world.row.last_ms
    assert world.run_now().result == "nightly-5000"
    assert world.row.last_ms == last
    (firing,) = world.row.firings
    assert (firing.outcome, firing.by_hand, firing.job) == (RUNNING, True, "nightly-5000")
    assert isinstance(world.run_now().result, Conflict)  # in the same second
    assert isinstance(world.run_now("other").result, NotFound)
    world.stop("nightly")
    assert isinstance(world.run_now(at_ms=9_000_000).result, Conflict)


def test_a_name_that_is_taken_is_skipped_and_said():
    world = CronWorld()
    world.create("nightly-7")
    world.fire(7)
    assert world.outcomes() == [(7, SKIPPED)]
    assert "is taken by another job" in world.row.firings[0].reason


# --- batch -------------------------------------------------------------------------------------------------


def batch(world, image="migrate:1", count=1):
    world.deploy("migrate", count, image, JobKind.BATCH)


def settle(world):
    """Whoever leads looks at the deployments a few times."""
    for _ in range(3):
        world.lead()
        world.now_ms += 10_000


def collect(world, name):
    record = world.view.job_record(name)
    return world.do(CollectJobs(900, ((name, record.job.created_index),)))


def test_a_completed_batch_runs_again_only_when_its_spec_changes():
    world = CronWorld()
    batch(world)
    world.end("migrate", exit_code=0)
    batch(world)
    assert not world.plan()
    settle(world)
    batch(world, "migrate:2")
    settle(world)
    world.end("migrate", exit_code=0)
    assert world.newest("migrate").job_version == 1


def test_a_completed_batch_is_collected_and_stays_completed():
    world = CronWorld()
    batch(world, count=2)
    world.plan()
    for index in range(2):
        world.report(world.newest("migrate", index), "completed", exit_code=0)
    settle(world)
    assert not world.view.of(Deployments).running()
    assert [event.kind for event in collect(world, "migrate").events] == ["JobCollected"]
    assert world.view.allocations_of_slot("migrate", 0) == ()
    assert world.state_of("migrate", 1) == "completed"
    batch(world, count=2)
    assert not world.plan()
    assert isinstance(world.scale(3, "migrate").result, Conflict)
    assert world.run_now("migrate").result == "migrate"
    assert world.plan()


def test_a_collected_batch_of_another_spec_runs_as_a_new_one():
    world = CronWorld()
    batch(world, count=2)
    world.plan()
    for index in range(2):
        world.report(world.newest("migrate", index), "completed", exit_code=0)
    settle(world)
    collect(world, "migrate")
    batch(world, "migrate:2", count=2)
    assert world.plan()
    assert {world.newest("migrate", index).job_version for index in range(2)} == {1}


def test_what_still_runs_or_is_no_batch_is_not_collected():
    world = CronWorld()
    batch(world)
    world.deploy("web", 1)
    world.fire(7)
    world.plan()
    for name in ("migrate", "web", "nightly", "nightly-7"):
        assert collect(world, name).events == ()
    world.end("nightly-7")
    assert [event.kind for event in collect(world, "nightly-7").events] == ["JobForgotten"]
    assert world.outcomes() == [(7, COMPLETED)]


def test_a_batch_that_failed_keeps_its_tasks_to_be_looked_at():
    world = CronWorld()
    batch(world)
    world.end("migrate", "failed", exit_code=1)
    assert collect(world, "migrate").events == ()
    assert world.newest("migrate").status.exit_code == 1


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Job("a", JobKind.CRON, 1, TaskSpec("x")), "has no schedule"),
        (Job("a", JobKind.SERVICE, 1, TaskSpec("x"), schedule=Schedule("* * * * *")), "has a schedule"),
        (Job("a", JobKind.CRON, 1, TaskSpec("x"), schedule=Schedule("*" * 300)), "expression is 300"),
        (Job("a" * 53, JobKind.CRON, 1, TaskSpec("x"), schedule=Schedule("* * * * *")), "at most 52"),
        (Job("a", JobKind.BATCH, 1, TaskSpec("x"), cron="nightly"), "only the state"),
        (Job("a", JobKind.SYSTEM, 1, TaskSpec("x"), homes=("node1",)), "only the state"),
    ],
)
def test_what_no_honest_node_asks_for_does_not_enter_the_log(job, words):
    assert words in fault_of(PutJob(1, job, "key", 0))


def test_times_that_are_no_times_do_not_enter_the_log():
    assert "until_ms" in fault_of(FireCron(1, "a", 1, 0, -1)) or "time is -1" in fault_of(
        FireCron(1, "a", 1, 0, -1)
    )
    assert "fires" in fault_of(FireCron(1, "a", 1, 0, 1, tuple(range(101))))
    assert "jobs" in fault_of(CollectJobs(1, tuple(("a", 1) for _ in range(101))))
