"""What was done to a job is kept, in order, within bounds, and once all nodes keep it."""

import pytest
from state_kit import World

from orion.model.levels import LEVEL
from orion.state.check import rebuilt, state_hash
from orion.state.tables import history
from orion.state.tables.history import ChangeKind, History, HistoryFrame, JobChange, JobHistory


@pytest.fixture
def world():
    world = World()
    world.register("node1", level=LEVEL)
    return world


def changes(world, job="web"):
    row = world.state.of(History).get(job)
    return row.changes if row else ()


def kinds(world, job="web"):
    return [change.kind.value for change in changes(world, job)]


def test_each_change_is_kept_with_what_the_job_is_from_then_on(world):
    world.create("web", count=3, image="nginx:1")
    created = world.index
    assert changes(world) == (JobChange(created, 20, ChangeKind.CREATED, created, 0, 3, "nginx:1"),)
    world.stop("web")
    world.start("web")
    world.rm("web")
    assert kinds(world) == ["created", "stopped", "started", "removed"]
    assert [change.index for change in changes(world)] == [created, created + 1, created + 2, created + 3]
    assert {change.created_index for change in changes(world)} == {created}


def test_what_changes_nothing_is_not_kept(world):
    world.create("web")
    world.create("web")  # refused
    world.stop("web")
    world.stop("web")
    world.rm("nothing")
    assert kinds(world) == ["created", "stopped"]
    assert not changes(world, "nothing")


def test_a_copy_of_a_command_is_one_change(world):
    world.create("web", key="one")
    world.create("web", key="one")
    assert kinds(world) == ["created"]


def test_it_goes_on_with_a_later_job_of_the_name(world):
    world.create("web", count=1)
    world.place("web", (0, "node1"))
    world.rm("web")
    world.create("web", count=2)  # waits until the former one has ended
    assert kinds(world) == ["created", "removed", "created"]
    first, _, second = changes(world)
    assert (first.count, second.count) == (1, 2)
    assert second.created_index == second.index > first.created_index
    world.rm("web")  # the one that waits
    assert changes(world)[-1].created_index == second.created_index


def test_only_the_last_changes_of_a_job_are_kept(world, monkeypatch):
    monkeypatch.setattr(history, "MAX_CHANGES", 3)
    world.create("web")
    world.stop("web")
    world.start("web")
    world.stop("web")
    assert kinds(world) == ["stopped", "started", "stopped"]


def test_of_removed_jobs_the_one_that_was_removed_first_is_forgotten_first(world, monkeypatch):
    monkeypatch.setattr(history, "MAX_REMOVED", 2)
    for name in ("a", "b", "c", "d"):
        world.create(name)
    world.rm("b")
    world.rm("a")
    world.rm("c")
    assert [len(changes(world, name)) for name in "abcd"] == [2, 0, 2, 1]
    world.create("a")  # is there again, and counts no more
    world.rm("d")
    assert [len(changes(world, name)) for name in "abcd"] == [3, 0, 2, 2]


def test_a_restore_has_it_and_goes_on_the_same(world, monkeypatch):
    monkeypatch.setattr(history, "MAX_REMOVED", 2)
    for name in ("a", "b", "c"):
        world.create(name)
    world.rm("c")
    world.rm("a")
    again = World()
    again.state, again.index = rebuilt(world.state), world.index
    assert again.state.of(History).rows == world.state.of(History).rows
    for each in (world, again):
        each.rm("b")
    assert not changes(world, "c")
    assert state_hash(again.state) == state_hash(world.state)


def test_nothing_is_kept_before_all_nodes_keep_it(world):
    world = World()
    world.register("node1", level=LEVEL)
    world.register("node2", level=1)
    assert world.state.level == LEVEL  # it had risen, and node2 was refused
    world = World(nodes=1)
    world.create("web")
    assert not changes(world)
    world.register("node1", level=LEVEL)
    world.stop("web")
    assert kinds(world) == ["stopped"]


@pytest.mark.parametrize(
    "row",
    [JobHistory("web", ()), JobHistory("web", (JobChange(1, 1, ChangeKind.CREATED, 1, 0, 1, "a"),) * 21)],
    ids=["none", "too many"],
)
def test_a_history_that_can_not_be_is_damage(world, row):
    with pytest.raises(LookupError):
        world.state.of(History).restore(HistoryFrame([row]))
