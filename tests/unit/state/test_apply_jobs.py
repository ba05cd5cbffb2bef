import pytest
from state_kit import WEB, World, creation, kinds, removing, texts

from orion.model.errors import AnswerForgotten, Conflict, NotFound, Refused
from orion.model.job import PortBinding
from orion.state.core import dedup
from orion.state.snapshot import capture, encode
from orion.state.tables.answers import Answers
from orion.state.tables.configs import ConfigAnswers


def test_a_created_job_waits_to_be_placed():
    world = World()
    applied = world.create("web", count=3)
    assert applied.result == "web" == world.view.job("web").name
    assert texts(applied) == ["web created: 3 tasks of nginx"]
    assert world.view.open_slots("web", 2) == [0, 1]
    assert world.view.open_count("web") == 3
    assert world.view.jobs_to_place() == ["web"]
    assert world.state_of("web", 2) == "pending"


def test_jobs_to_place_are_oldest_first():
    world = World(nodes=1)
    for name in ("b", "a", "c"):
        world.create(name)
    world.place("a", (0, "node1"))
    assert world.view.jobs_to_place() == ["b", "c"]
    world.update("lost", "a")
    assert world.view.jobs_to_place() == ["b", "a", "c"]
    assert world.view.jobs_to_place(2) == ["b", "a"]


def test_jobs_that_leave_a_node_are_among_the_oldest():
    world = World(nodes=1)
    for name in ("a", "b", "c", "d"):
        world.create(name)
    world.place("b", (0, "node1"))
    world.place("d", (0, "node1"))
    world.drain("node1")
    assert [world.view.jobs_to_place(most) for most in (1, 2, 9)] == [["a"], ["a", "b"], ["a", "b", "c", "d"]]
    world.refuse("a")
    assert world.view.jobs_to_place(2) == ["b", "c"]


def test_refused_jobs_keep_no_other_waiting():
    world = World(nodes=1)
    for name in ("a", "b", "c", "d"):
        world.create(name)
    world.refuse("c")
    world.refuse("a")
    assert world.view.jobs_to_place() == ["b", "d"]
    assert world.view.jobs_refused() == ["a", "c"]
    assert world.view.jobs_refused(1) == ["a"]
    first = world.view.queue_key("a")
    assert world.view.jobs_refused(5, first, world.view.next_serial) == ["c"]
    assert world.view.jobs_refused(5, None, world.view.serial("a") + 1) == ["a"]
    assert world.view.jobs_refused(5, first, world.view.serial("a") + 1) == []


def test_a_taken_name_is_a_conflict():
    world = World()
    world.create()
    error = world.refused(creation())
    assert isinstance(error, Conflict)
    assert error.detail == ("a job named web exists already; choose another name or remove it first: orion rm web")


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_a_count_out_of_bounds_is_refused(count):
    assert isinstance(World().refused(creation(count=count)), Refused)


def test_one_host_port_twice_is_refused():
    both = (WEB, PortBinding(81, "tcp", 8080))
    assert World().refused(creation(ports=both)).detail == "web asks for host port 8080 twice"
    apart = (PortBinding(53, "tcp", 53), PortBinding(53, "udp", 53))
    assert kinds(World().create(ports=apart)) == ["JobCreated"]


def test_a_job_of_no_tasks_is_a_job():
    world = World()
    world.create(count=0)
    assert world.view.jobs_to_place() == []
    assert kinds(world.rm()) == ["JobRemoved", "JobForgotten"]


def test_a_key_seen_before_is_answered_as_then():
    world = World()
    first = world.create("web", key="k")
    again = world.do(creation("web-2", count=9, key="k"))
    assert again.result == first.result
    assert again.events == ()
    assert world.view.job("web-2") is None
    world.rm()
    assert world.create("web", key="k").result == first.result
    assert world.view.job("web") is None


def test_a_late_copy_of_a_refused_creation_creates_nothing():
    """Its client was told that the name is taken; since then it was given up."""
    world = World()
    world.create()
    late = creation("web", count=9)
    told = world.refused(late)
    world.rm()
    again = world.do(late).result
    assert (type(again), again.detail) == (Conflict, told.detail)
    assert world.view.job("web") is None


def test_a_late_copy_of_a_refused_removal_removes_nothing():
    world = World()
    late = removing()
    world.refused(late)
    world.create("web")
    assert isinstance(world.do(late).result, NotFound)
    assert not world.view.job("web").stopping


def test_a_copy_that_comes_after_its_answer_was_forgotten_creates_nothing(monkeypatch):
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 2)
    world = World()
    late = creation("web", since=world.index)
    world.do(late)
    world.rm()
    for n in range(2):
        world.create(f"job{n}")
    assert isinstance(world.refused(late), AnswerForgotten)
    assert world.view.job("web") is None
    assert len(world.state.of(Answers).answers) == 2


def test_changes_of_configs_make_nobody_forget_a_creation(monkeypatch):
    """Such as many tries for a lock that is held: refused, and yet remembered."""
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 2)
    world = World()
    world.create("web-1", key="k")
    world.put("lock")
    for _ in range(3):
        world.put("lock", if_version=0)
    assert world.state.of(ConfigAnswers).forgotten
    assert world.create("web-2", key="k").result == "web-1"
    assert world.view.job("web-2") is None


def test_an_answer_is_small_however_large_the_job_was():
    world = World()
    large = sum(map(len, encode(capture(world.state)))) + 1_000
    world.create(key="k", env=(("X", "y" * 1_000_000),))
    world.rm()
    assert sum(map(len, encode(capture(world.state)))) < large
    assert world.create(key="k").result == "web"


def test_a_job_never_begins_as_stopping():
    from msgspec.structs import replace

    world = World()
    command = creation()
    world.do(replace(command, job=replace(command.job, stopping=True, stopped=True)))
    assert world.view.job("web").wanted


def test_removing_waits_for_the_last_allocation():
    world = World(nodes=2)
    world.create("web", count=3)
    world.place("web", (0, "node1"), (1, "node2"))
    world.refuse("web")
    before = world.view.work_index("node1")
    applied = world.rm()
    assert applied.result == "web"
    assert world.view.job("web").stopping
    assert texts(applied) == ["web is being removed: 2 tasks to end"]
    assert world.view.refusal("web") == ""
    assert world.view.jobs_to_place() == []
    assert world.view.work_index("node1") != before
    assert [a.wanted for a in world.view.allocations_of_job("web")] == [False, False]
    assert [world.state_of("web", n) for n in range(3)] == ["scheduled", "scheduled", "stopped"]
    assert world.view.task("web", 0).reason == "stopping"
    again = world.rm()
    assert again.result == "web"
    assert again.events == ()
    assert kinds(world.update("stopped", index=0)) == ["TaskStopped"]
    assert kinds(world.update("failed", index=1)) == ["TaskFailed", "JobForgotten"]
    assert world.view.job("web") is None
    assert world.view.allocation_count() == 0
    assert world.view.allocations_of_node("node1") == []


def test_removing_a_job_with_nothing_active_forgets_it_at_once():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    world.update("completed")
    applied = world.rm()
    assert applied.result == "web"
    assert texts(applied) == ["web is being removed", "web has stopped and is forgotten"]
    assert world.view.jobs() == []


def test_an_unknown_job_is_not_found():
    error = World().refused(removing())
    assert isinstance(error, NotFound)
    assert "no job named web" in error.detail


def test_a_late_copy_of_a_removal_spares_the_next_job_of_the_name():
    world = World()
    world.create("web")
    stop, unheard = removing(since=world.index), removing(since=world.index)
    assert world.do(stop).result == "web"
    world.create("web")
    assert world.do(stop).result == "web"
    assert isinstance(world.do(unheard).result, NotFound), "of which no copy had come before"
    assert not world.view.job("web").stopping
    world.rm()
    assert world.view.jobs() == []
