from state_kit import ANY, World

from orion.model.job import JobKind
from orion.model.placement import PlacementFailure
from orion.model.pull import PullProgress
from orion.model.resources import Resources
from orion.state.slots import TaskSlot


def test_what_is_unknown_is_nothing():
    view = World().view
    assert view.node("x") is None
    assert view.node_by_number(1) is None
    assert view.free("x") == Resources()
    assert view.ports_held("x") == {}
    assert view.work_index("x") == 0
    assert view.job("x") is None
    assert view.job_record("x") is None
    assert view.spec("x", 0) is None
    assert view.refusal("x") == ""
    assert view.open_count("x") == 0
    assert view.open_slots("x", 5) == []
    assert view.task("x", 0) is None
    assert view.allocation(1) is None
    assert view.allocations_of_job("x") == []
    assert view.allocations_of_slot("x", 0) == ()
    assert view.allocations_of_node("x") == []


def test_lists_are_sorted():
    world = World()
    for node in ("b", "a"):
        world.register(node)
    for job in ("z", "y"):
        world.create(job, count=2)
        world.place(job, (1, "b"), (0, "b"))
    assert [node.id for node in world.view.nodes()] == ["a", "b"]
    assert [record.node.id for record in world.view.node_records()] == ["b", "a"]
    assert [job.name for job in world.view.jobs()] == ["y", "z"]
    assert [a.index for a in world.view.allocations_of_job("z")] == [0, 1]
    ids = [a.id for a in world.view.allocations_of_node("b")]
    assert ids == sorted(ids)
    assert len(ids) == 4


def test_a_spec_is_known_by_its_version():
    world = World()
    world.create("web", image="nginx:1")
    assert world.view.spec("web", 0).image == "nginx:1"
    assert world.view.spec("web", 1) is None


def test_open_slots_are_the_lowest():
    world = World(nodes=1)
    world.create("web", count=1_000)
    world.place("web", *((n, "node1") for n in range(0, 1_000, 2)))
    assert world.view.open_count("web") == 500
    assert world.view.open_slots("web", 3) == [1, 3, 5]
    assert world.view.open_slots("web", 0) == []


def test_the_state_of_a_task_follows_from_its_slot():
    world = World(nodes=2)
    world.create("web", kind=JobKind.SERVICE, ports=(ANY,))
    task = world.view.job("web").task
    assert world.view.task("web", 0) == TaskSlot("pending", task, words="waiting to be placed")
    assert world.view.task("web", 1) is None
    assert world.view.task("web", -1) is None
    world.refuse("web", PlacementFailure(down=2))
    assert world.view.task("web", 0) == TaskSlot("pending", task, failure=PlacementFailure(down=2))
    assert world.view.task("web", 0).reason == "no node is ready: 2 are down"
    world.place("web", (0, "node1"), ports=[(20_000,)])
    world.update("pulling", reason="no route to host", pull=PullProgress(1_000_000, 5_000_000))
    old = world.newest()
    assert world.view.task("web", 0) == TaskSlot("pulling", task, old)
    assert world.view.task("web", 0).reason == "pulling nginx: 1 of 5 MB; the last try: no route to host"
    world.stop_allocations(old.id)
    assert world.view.task("web", 0) == TaskSlot("pending", task, words="waiting to be placed")
    world.place("web", (0, "node2"), ports=[(20_000,)])
    new = world.newest()
    assert world.view.task("web", 0) == TaskSlot("scheduled", task, new)
    world.rm()
    assert world.view.task("web", 0).reason == "stopping"
    world.update("stopped", allocation=new, reason="exit code 137")
    world.update("stopped", allocation=old)
    assert world.view.job("web") is None


def test_an_ended_task_shows_its_end_while_the_job_stops():
    world = World(nodes=1)
    world.create("web", count=2)
    world.place("web", (0, "node1"), (1, "node1"))
    world.update("failed", index=0, reason="exit code 1")
    world.rm()
    slot = world.view.task("web", 0)
    assert (slot.state, slot.reason) == ("failed", "exit code 1")


def test_the_epochs_move_when_they_should():
    world = World(nodes=2)
    world.create("web", count=2, resources=Resources(100, 0, 0))
    view = world.view

    def epochs():
        return view.capacity_epoch, view.facts_epoch

    before = epochs()
    world.place("web", (0, "node1"), (1, "node2"))
    world.update("running")
    assert epochs() == before
    world.update("lost")
    assert epochs()[0] != before[0]
    assert epochs()[1] == before[1]
    before = epochs()
    world.drain("node2")
    assert epochs()[0] != before[0]
    assert epochs()[1] != before[1]
