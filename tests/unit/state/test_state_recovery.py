from state_kit import CLUSTER, WEB, World

from orion.model.allocation import AllocationState
from orion.model.errors import Conflict
from orion.state import recovery
from orion.state.check import check, rebuilt
from orion.state.tables.configs import Configs


def a_cluster():
    world = World(nodes=3)
    world.create("web", 2, ports=(WEB,))
    world.create("old", 1)
    world.put("app/a", b"one")
    world.place("web", (0, "node1"), (1, "node2"), ports=[(8080,), (8080,)])
    world.place("old", (0, "node2"))
    world.update("running", "web", 0)
    world.update("running", "web", 1)
    return world


def renewed(world, *names):
    gone = [world.state.nodes[name] for name in names]
    world.index += recovery.LEAP
    recovery.renew(world.state, world.index, gone, "the cluster was restored from a backup", 500)
    check(world.state)
    return world


def test_what_ran_on_nodes_that_are_gone_is_lost_and_is_placed_again():
    world = renewed(a_cluster(), "node2", "node3")
    assert list(world.state.nodes) == ["node1"]
    assert world.state_of("web", 0) == "running"
    lost = world.newest("web", 1)
    assert lost.status.state is AllocationState.LOST
    assert lost.status.reason == "the cluster was restored from a backup"
    assert set(world.view.jobs_to_place()) == {"web", "old"}
    assert world.state.of(Configs).rows["app/a"].value == b"one"
    world.register("node4")
    before = set(world.state.allocations)
    world.place("web", (1, "node4"), ports=[(8080,)])
    assert world.newest("web", 1).node == "node4"
    assert world.newest("web", 1).id not in before


def test_their_data_directories_are_welcome_no_more_but_their_names_are():
    world = a_cluster()
    former = world.state.nodes["node2"].raft_id
    renewed(world, "node2")
    assert isinstance(world.register("node2", former).result, Conflict)
    assert world.register("node2", former + 1).result.id == "node2"


def test_a_stopping_job_whose_last_task_is_gone_is_forgotten():
    world = a_cluster()
    world.rm("old")
    assert "old" in world.state.jobs
    renewed(world, "node2")
    assert "old" not in world.state.jobs


def test_ids_never_come_twice_across_another_name():
    """Allocation ids are made from a counter and the cluster's lower half."""
    world = a_cluster()
    seen = set(world.state.allocations)
    renewed(world, "node1", "node2", "node3")
    recovery.rename(world.state, 0x12345678)
    assert world.state.cluster == 0x1234567800000000 | CLUSTER & 0xFFFFFFFF
    check(world.state)
    world.register("node9")
    world.place("web", (0, "node9"), ports=[(8080,)])
    assert world.newest("web", 0).id not in seen
    assert rebuilt(world.state).cluster == world.state.cluster
