"""What becomes of a job's name: stopped and started again, removed, and used again while the former one ends."""

import pytest
from msgspec.structs import replace
from state_kit import World, creation, kinds, removing, texts

from orion.model.errors import Conflict, NotFound
from orion.model.job import JobKind
from orion.state.check import rebuilt, state_hash
from orion.state.tables.jobs import StartJob, StopJob


@pytest.fixture
def world():
    """`web` runs on node1."""
    made = World(nodes=2)
    made.create("web", image="one")
    made.place("web", (0, "node1"))
    made.update("running")
    return made


def reason(world, name="web"):
    return world.view.task(name, 0).reason


# --- stop and start ----------------------------------------------------------------------------------------


def test_a_stopped_job_is_kept_and_nothing_of_it_is_wanted(world):
    before = world.view.work_index("node1")
    applied = world.stop()
    assert (applied.result, texts(applied)) == ("web", ["web is stopping: 1 task"])
    assert world.view.work_index("node1") != before
    assert not world.newest().wanted
    assert (world.state_of(), reason(world)) == ("running", "stopping")
    world.update("stopped")
    assert world.state_of() == "stopped"
    assert world.view.job("web").stopped
    assert world.view.jobs_to_place() == []
    assert world.stop().events == ()


def test_a_job_that_waits_stops_at_once():
    world = World()
    world.create("web", count=2)
    world.refuse("web")
    assert texts(world.stop()) == ["web is stopping"]
    assert [world.state_of("web", n) for n in range(2)] == ["stopped", "stopped"]
    assert world.view.jobs_to_place() == world.view.jobs_refused() == []
    assert texts(world.start()) == ["web is started: 2 tasks"]
    assert world.view.open_count("web") == 2


def test_a_started_job_comes_back(world):
    world.stop()
    world.update("stopped")
    assert texts(world.start()) == ["web is started: 1 task"]
    assert world.view.jobs_to_place() == ["web"]
    assert (world.state_of(), world.view.job("web").task.image) == ("pending", "one")
    world.place("web", (0, "node2"))
    assert world.start().events == ()


def test_a_job_that_is_started_while_it_stops_waits_for_its_end(world):
    world.stop()
    assert texts(world.start()) == ["web is started: 1 task"]
    assert (world.state_of(), reason(world)) == ("pending", "waits until the former web has ended on node1")
    assert world.view.jobs_to_place() == []
    assert world.start().events == ()
    world.update("stopped")
    assert world.view.jobs_to_place() == ["web"]
    assert world.view.job("web").wanted


def test_a_job_that_was_to_start_again_stays_stopped_when_it_is_stopped_again(world):
    world.stop()
    world.start()
    world.stop()
    world.update("stopped")
    assert (world.state_of(), world.view.jobs_to_place()) == ("stopped", [])


def test_a_lost_run_of_a_stopped_job_is_not_made_up_for(world):
    world.stop()
    world.down("node1")
    assert (world.state_of(), world.view.jobs_to_place()) == ("stopped", [])


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_what_has_ended_runs_again_when_it_is_started(world, end):
    world.update(end, exit_code=3)
    assert texts(world.start()) == ["web is started: 1 task"]
    assert world.state_of() == "pending"
    assert len(world.view.allocations_of_slot("web", 0)) == 1
    world.place("web", (0, "node1"))
    world.update("completed")
    assert world.state_of() == "completed"


def test_tasks_of_a_batch_job_that_have_completed_stay_completed():
    world = World(nodes=1)
    world.create("sums", count=2, kind=JobKind.BATCH)
    world.place("sums", (0, "node1"), (1, "node1"))
    world.update("completed", "sums", 0)
    world.update("failed", "sums", 1)
    world.start("sums")
    assert world.view.open_slots("sums", 9) == [1]


def test_starts_that_failed_before_a_stop_count_no_more(world):
    world.update("starting", failed_starts=2)
    world.stop()
    world.update("stopped", failed_starts=2)
    world.start()
    assert world.newest().status.failed_starts == 0


def test_a_stopped_job_keeps_its_name(world):
    world.stop()
    words = (
        "a job named web is there, stopped: start it with 'orion start web', or remove it first with 'orion rm web'"
    )
    assert world.refused(creation()).detail == words
    world.update("stopped")
    assert world.refused(creation()).detail == words


def test_an_unknown_job_can_be_neither_stopped_nor_started():
    world = World()
    for kind in (StopJob, StartJob):
        assert isinstance(world.refused(kind(1, "web", "k", 9)), NotFound)


def test_a_late_stop_or_start_spares_a_job_that_was_created_since(world):
    late = [kind(1, "web", f"{kind.__name__} {n}", world.index) for kind in (StopJob, StartJob) for n in range(2)]
    world.rm()
    world.create("web")
    for command in late[::2]:
        assert isinstance(world.refused(command), Conflict), "the one that it was meant for is being removed"
    world.update("stopped")
    for command in late[1::2]:
        assert isinstance(world.refused(command), NotFound)
    assert world.view.job("web").wanted


def test_a_copy_of_a_stop_that_comes_after_the_start_stops_nothing(world):
    stop = StopJob(1, "web", "k", world.index)
    world.do(stop)
    world.start()
    world.update("stopped")
    assert world.do(stop).result == "web"
    assert world.view.job("web").wanted


# --- removed, and the name used again ----------------------------------------------------------------------


def test_a_new_job_waits_until_the_former_one_of_its_name_has_ended(world):
    world.rm()
    applied = world.create("web", image="two")
    assert texts(applied) == ["web created: 1 task of two, once the former web has ended"]
    assert (world.state_of(), reason(world)) == ("pending", "waits until the former web has ended on node1")
    assert [job.task.image for job in world.view.latest_jobs()] == ["two"]
    assert world.view.spec("web", 0).image == "one", "which its node still has to end"
    assert world.view.jobs_to_place() == []
    assert kinds(world.update("stopped")) == ["TaskStopped", "JobForgotten"]
    assert (world.view.job("web").task.image, world.view.jobs_to_place()) == ("two", ["web"])
    assert world.view.allocation_count() == 0


def test_a_new_job_waits_for_all_tasks_of_the_former_one():
    world = World(nodes=2)
    world.create("web", count=3)
    world.place("web", (0, "node1"), (1, "node2"), (2, "node2"))
    world.rm()
    world.create("web", count=1)
    assert reason(world) == "waits until 3 tasks of the former web have ended"
    world.down("node2")
    assert reason(world) == "waits until 1 task of the former web has ended"
    assert world.view.task("web", 1) is None
    world.update("completed")
    assert reason(world) == "waiting to be placed"


def test_a_job_that_waits_for_its_name_is_there_like_any_other(world):
    world.rm()
    world.create("web", image="two")
    assert isinstance(world.refused(creation()), Conflict)
    world.stop()
    assert world.state_of() == "stopped"
    assert "stopped" in world.refused(creation()).detail
    world.start()
    assert world.state_of() == "pending"
    world.stop()
    world.update("stopped")
    assert (world.state_of(), world.view.job("web").task.image) == ("stopped", "two")


def test_a_job_that_waits_for_its_name_can_be_removed(world):
    world.rm()
    for image in ("two", "three"):
        world.create("web", image=image)
        assert world.rm().result == "web"
        assert isinstance(world.do(StopJob(1, "web", f"stop {image}", world.index)).result, Conflict)
    assert world.view.latest_job("web").task.image == "one"
    world.update("stopped")
    assert world.view.jobs() == []


def test_a_late_removal_of_the_former_spares_the_one_that_waits(world):
    late = removing(since=world.index)
    world.rm()
    world.create("web", image="two")
    assert world.do(late).result == "web"
    assert world.view.latest_job("web").task.image == "two"


def test_a_removal_that_names_one_job_spares_others_of_its_name(world):
    first = world.view.job("web").created_index
    world.update("completed")
    world.create("web", image="two")
    second = world.view.job("web").created_index
    error = world.refused(replace(removing(since=world.index), created_index=first))
    assert isinstance(error, NotFound)
    world.place("web", (0, "node1"))
    world.do(replace(removing(since=world.index), created_index=second))
    world.create("web", image="three")
    assert world.do(replace(removing(since=world.index), created_index=second)).result == "web", "removed already"
    assert world.view.latest_job("web").task.image == "three"


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_the_name_of_what_has_ended_by_itself_is_free(world, end):
    world.update(end)
    applied = world.create("web", image="two")
    assert texts(applied) == ["web has ended and makes room for a new one", "web created: 1 task of two"]
    assert (world.state_of(), world.view.job("web").task.image) == ("pending", "two")
    assert world.view.allocation_count() == 0


def test_the_name_of_what_has_ended_in_part_is_taken():
    world = World(nodes=1)
    world.create("web", count=2)
    world.place("web", (0, "node1"))
    world.update("completed")
    assert isinstance(world.refused(creation()), Conflict)


def test_the_name_of_what_has_ended_and_was_stopped_is_taken(world):
    world.update("completed")
    world.stop()
    assert world.state_of() == "completed"
    assert isinstance(world.refused(creation()), Conflict)


def test_a_removed_job_can_be_neither_stopped_nor_started(world):
    world.rm()
    for change in (world.stop, world.start):
        error = change().result
        assert isinstance(error, Conflict)
        assert error.detail == "web is being removed; 'orion run --name web' makes a new one"


def test_a_stopped_job_can_be_removed_while_it_ends(world):
    world.stop()
    world.start()
    world.rm()
    assert world.create("web", image="two").result == "web"
    world.update("stopped")
    assert world.view.job("web").task.image == "two"


def test_a_node_that_is_lost_lets_the_next_job_of_a_name_begin(world):
    world.rm()
    world.create("web", image="two")
    assert kinds(world.down("node1")) == ["NodeWentDown", "JobForgotten"]
    assert (world.state_of(), world.view.jobs_to_place()) == ("pending", ["web"])


@pytest.mark.parametrize("steps", [("rm", "create"), ("stop", "start"), ("stop",), ("rm", "create", "stop")])
def test_a_restored_state_goes_on_alike(world, steps):
    for step in steps:
        getattr(world, step)()
    again = rebuilt(world.state)
    assert state_hash(again) == state_hash(world.state)
    twin = World()
    twin.state, twin.index = again, world.index
    for one in (world, twin):
        one.update("stopped", allocation=one.newest())
    assert state_hash(twin.state) == state_hash(world.state)
    record = world.state.jobs["web"]
    assert record.successor is None
    assert replace(record.job) == twin.state.jobs["web"].job
