import pytest
from state_kit import ANY, NO_ROOM, WEB, World, kinds, texts

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.job import PortBinding
from orion.model.levels import LEVEL
from orion.model.placement import PlacementFailure, PortShortage
from orion.model.resources import Resources
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.plans import ApplyPlan, Placements, Refusal


def test_placing():
    world = World(nodes=2)
    world.create("web", count=3, resources=Resources(1_000, 100, 10), ports=(ANY, WEB))
    applied = world.place("web", (0, "node1"), (2, "node2"), ports=[(20_000, 8080), (32_767, 8080)])
    assert texts(applied) == ["web/0 placed on node1", "web/2 placed on node2"]
    first = world.newest("web", 0)
    assert (first.node, first.ports, first.created_at_ms, first.wanted) == ("node1", (20_000, 8080), 90, True)
    assert world.view.free("node1") == Resources(3_000, 999_999_900, 9_999_999_990)
    assert sorted(key >> 1 for key in world.view.ports_held("engine-of-node1")) == [8080, 20_000]
    assert world.view.open_slots("web", 9) == [1]
    assert world.view.work_index("node1") == world.index


def created(world, job="web"):
    record = world.view.job(job)
    return record.created_index if record else 0


def one(world, **changes):
    """Try to place web/0 on node1, with something about it changed; whether it was taken."""
    index = created(world)
    given = {
        "job": "web",
        "created_index": index,
        "job_version": 0,
        "indexes": [0],
        "nodes": [1],
        "ports": [(8080, 20_000)],
    } | changes
    before = world.view.allocation_count()
    epoch = world.view.capacity_epoch
    world.do(ApplyPlan(1, (Placements(**given),)))
    return world.view.allocation_count() == before + 1, world.view.capacity_epoch != epoch


def web():
    world = World(nodes=2)
    world.create("web", resources=Resources(1_000, 0, 0), ports=(WEB, ANY))
    return world


@pytest.mark.parametrize(
    "changes",
    [
        {"job": "unknown"},
        {"job_version": 1},
        {"indexes": [1]},
        {"indexes": [-1]},
        {"nodes": [3]},
        {"nodes": []},
        {"ports": []},
        {"ports": [()]},
        {"ports": [(8080,)]},
        {"ports": [(8081, 20_000)]},
        {"ports": [(8080, 19_999)]},
        {"ports": [(8080, 32_768)]},
        {"ports": [(8080, 8080)]},
    ],
)
def test_what_does_not_hold_is_dropped(changes):
    assert one(web(), **changes)[0] is False


def test_what_holds_is_taken_once():
    world = web()
    assert one(world) == (True, False)
    # the slot is filled now; a dropped placement makes the job worth another look
    assert one(world, nodes=[2]) == (False, True)


@pytest.mark.parametrize("changes", [{"job": "gone"}, {"job_version": 1}])
def test_what_a_dropped_group_was_to_take_is_free_for_others(changes):
    """The plan refused another job for it, which would wait for ever."""
    assert one(web(), **changes) == (False, True)


def created_twice():
    """The world, and the indexes of web and of the web that took its place."""
    world = World(nodes=1)
    world.create()
    first = world.index
    world.rm()
    world.create()
    return world, first, world.index


def test_what_was_planned_for_a_job_is_nothing_to_the_next_of_its_name():
    """Its constraints may be others, which nothing checks when the plan is applied."""
    world, first, second = created_twice()
    world.state.level = LEVEL
    epoch = world.view.capacity_epoch
    group = Placements("web", first, 0, [0], [1])
    applied = world.do(ApplyPlan(1, (group,), refusals=(Refusal("web", first, NO_ROOM),)))
    assert applied.events == ()
    assert world.view.jobs_to_place() == ["web"]
    assert world.view.capacity_epoch != epoch
    group = Placements("web", second, 0, [0], [1])
    assert kinds(world.do(ApplyPlan(1, (group,)))) == ["TaskPlaced"]


def test_each_refusal_is_of_its_own_job():
    world, first, second = created_twice()
    world.state.level = LEVEL
    world.create("other")
    other = Refusal("other", world.index, NO_ROOM)
    world.do(ApplyPlan(1, (), refusals=(Refusal("web", first, NO_ROOM), other)))
    assert world.view.jobs_refused() == ["other"]
    world.do(ApplyPlan(1, (), refusals=(Refusal("web", second, NO_ROOM),)))
    assert world.view.jobs_refused() == ["web", "other"]


def test_a_node_that_is_not_schedulable_takes_nothing():
    for change in (
        lambda world: world.drain("node1"),
        lambda world: world.left("node1"),
        lambda world: world.down("node1"),
        lambda world: world.register("node1", engine_down="gone"),
    ):
        world = web()
        change(world)
        assert one(world)[0] is False


@pytest.mark.parametrize("resources", [Resources(4_001), Resources(0, 10**9 + 1), Resources(0, 0, 10**10 + 1)])
def test_capacity_is_never_exceeded(resources):
    world = World(nodes=1)
    world.create(resources=resources)
    world.place("web", (0, "node1"))
    assert world.state_of() == "pending"


def test_capacity_is_counted_within_one_plan():
    world = World(nodes=1)
    world.create("web", count=5, resources=Resources(1_500, 0, 0))
    world.place("web", *((n, "node1") for n in range(5)))
    assert world.view.open_slots("web", 9) == [2, 3, 4]


def test_a_host_port_is_given_once_for_each_engine():
    world = World()
    world.register("node1", engine="shared")
    world.register("node2", engine="shared")
    world.register("node3", engine="")
    world.register("node4", engine="")
    world.create("web", count=4, ports=(WEB,))
    world.place("web", *((n, f"node{n + 1}") for n in range(4)), ports=[(8080,)] * 4)
    assert world.view.open_slots("web", 9) == [1]


def test_tcp_and_udp_are_apart():
    world = World(nodes=1)
    world.create(ports=(PortBinding(53, "tcp", 53), PortBinding(53, "udp", 53)))
    world.place("web", (0, "node1"), ports=[(53, 53)])
    assert world.state_of() == "scheduled"


def test_one_port_is_not_given_to_two_bindings_of_a_task():
    world = World(nodes=1)
    world.create(ports=(ANY, PortBinding(81, "tcp")))
    world.place("web", (0, "node1"), ports=[(20_000, 20_000)])
    assert world.state_of() == "pending"
    world.place("web", (0, "node1"), ports=[(20_000, 20_001)])
    assert world.state_of() == "scheduled"


def test_a_stopping_job_gets_nothing():
    world = World(nodes=1)
    world.create(count=2)
    world.place("web", (0, "node1"))
    world.rm()
    world.place("web", (1, "node1"))
    assert world.view.task("web", 1).state == "stopped"


def test_stops_come_before_placements():
    world = World(nodes=2)
    world.create()
    world.place("web", (0, "node1"))
    old = world.newest()
    group = Placements("web", created(world), 0, [0], [2])
    world.do(ApplyPlan(1, (group,), (old.id,)))
    assert [(a.node, a.wanted) for a in world.view.allocations_of_slot("web", 0)] == [
        ("node1", False),
        ("node2", True),
    ]


def test_stopping_what_is_over_or_unknown_is_no_error():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    world.update("completed")
    world.stop_allocations(world.newest().id, 123)
    assert world.newest().wanted
    assert world.state_of() == "completed"


def test_refusals_are_kept_until_all_is_placed():
    world = World(nodes=1)
    world.create("web", count=3)
    applied = world.refuse("web", port_taken(8080, 1))
    assert texts(applied) == ["3 of 3 tasks of web wait: port 8080 is taken on 1 of 1 nodes"]
    assert world.view.task("web", 1).reason == "port 8080 is taken on 1 of 1 nodes"
    world.place("web", (0, "node1"), (1, "node1"))
    assert world.view.refusal("web")
    world.place("web", (2, "node1"))
    assert world.view.refusal("web") == ""
    assert world.refuse("web").events == ()
    assert world.view.refusal("web") == ""


def port_taken(port, nodes):
    return PlacementFailure(ports=(PortShortage(port, "tcp", nodes),))


def test_a_refusal_is_an_event_when_it_names_another_filter():
    world = World()
    world.create()
    assert kinds(world.refuse("web", port_taken(80, 3))) == ["TaskRefused"]
    assert kinds(world.refuse("web", port_taken(80, 4))) == []
    assert world.view.refusal("web") == port_taken(80, 4)
    assert kinds(world.refuse("web", port_taken(81, 4))) == ["TaskRefused"]
    assert texts(world.refuse("web", PlacementFailure(down=1))) == ["web/0 waits: no node is ready: 1 is down"]
    assert kinds(world.refuse("web", PlacementFailure(down=2))) == []
    assert kinds(world.refuse("web", PlacementFailure(down=2, draining=1))) == ["TaskRefused"]
    assert kinds(world.refuse("web", "")) == []
    assert world.view.task("web", 0).reason == "waiting to be placed"


def test_ids_that_come_round_again_are_skipped():
    world = World(nodes=1)
    world.create(count=3)
    world.place("web", (0, "node1"))
    first = world.newest("web", 0).id
    world.state.next_allocation = 2**32  # the same ids from here on
    world.place("web", (1, "node1"))
    assert world.newest("web", 1).id != first
    assert world.state.next_allocation == 2**32 + 2


def test_why_a_task_leaves_a_node_that_can_not_start_it_is_told():
    world = World(nodes=2)
    world.create("web")
    world.place("web", (0, "node1"))
    stuck = AllocationStatus(AllocationState.STARTING, "port 80 is taken", failed_starts=2)
    former = world.newest("web")
    world.do(UpdateAllocations(1, "node1", ((former.id, stuck),)))
    assert [a.id for a in world.view.stuck()] == [former.id]
    applied = world.do(ApplyPlan(90, (Placements("web", created(world), 0, [0], [2]),), moves=(former.id,)))
    assert texts(applied) == [
        "web/0 does not start on node1 (port 80 is taken): another node has its turn",
        "web/0 placed on node2",
    ]
    assert world.view.stuck() == []
