from state_kit import CLUSTER, WEB, World, kinds, registration, texts

from orion.model.errors import AnswerForgotten, Conflict, NotFound
from orion.model.ids import allocation_id
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.state.core import dedup
from orion.state.tables import nodes
from orion.state.tables.cluster import InitCluster
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.node_status import SetNodeStatus


def test_a_new_node_gets_the_next_number():
    world = World()
    one, two = world.register("node1"), world.register("node2")
    assert (one.result.number, two.result.number) == (1, 2)
    assert one.result.status is NodeStatus.READY
    assert texts(one) == ["node1 joined"]
    assert world.view.node_by_number(2).id == "node2"
    assert [node.id for node in world.view.nodes()] == ["node1", "node2"]


def test_numbers_are_never_given_twice():
    world = World(nodes=1)
    world.down("node1")
    world.remove("node1")
    assert world.register("node1", raft=7).result.number == 2


def test_registering_unchanged_tells_nothing():
    world = World()
    first = world.register("node1")
    again = world.register("node1")
    assert again.result == first.result
    assert again.events == ()


def test_new_facts_are_taken_and_told():
    world = World(nodes=1)
    applied = world.register("node1", capacity=Resources(1, 2, 3), labels=(("disk", "ssd"),))
    assert texts(applied) == ["node1 has changed: capacity, labels"]
    assert applied.result.capacity == Resources(1, 2, 3)
    assert applied.result.number == 1


def test_a_data_directory_belongs_to_one_node_id():
    world = World()
    world.register("node1", raft=5)
    error = world.refused(registration("node2", raft=5))
    assert isinstance(error, Conflict)
    assert "belongs to node node1" in error.detail


def test_another_data_directory_under_a_living_id_is_refused():
    world = World(nodes=1)
    error = world.refused(registration("node1", raft=99))
    assert isinstance(error, Conflict)
    assert "orion nodes rm node1" in error.detail


def test_another_data_directory_replaces_one_that_is_gone():
    world = World()
    world.register("node1", raft=1)
    world.create()
    world.place("web", (0, "node1"))
    applied = world.register("node1", raft=2, replaces=True)
    assert texts(applied) == [
        "node1 came back with an empty data directory: 1 task lost",
        "web/0 lost: node1 started anew with an empty data directory",
    ]
    assert applied.result.raft_id == 2
    assert applied.result.number == 1
    assert world.state_of() == "pending"
    assert "removed" in world.refused(registration("node1", raft=1)).detail


def test_a_removed_data_directory_stays_out():
    world = World()
    world.register("node1", raft=1)
    world.drain("node1")
    world.remove("node1")
    error = world.refused(registration("node1", raft=1))
    assert isinstance(error, Conflict)
    assert error.detail == (
        "this data directory belonged to a node that was removed; start it with an empty data directory"
    )


def test_removed_data_directories_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(nodes, "MAX_REMOVED", 3)
    world = World()
    for raft in range(1, 6):
        world.register("node1", raft=raft)
        world.down("node1")
        world.remove("node1")
    assert list(world.state.removed) == [3, 4, 5]
    assert world.register("node1", raft=1).result.raft_id == 1


# --- status ------------------------------------------------------------------------------------------------


def test_down_loses_all_at_once_and_opens_the_slots():
    world = World(nodes=2)
    world.create("web", count=2, resources=Resources(500, 100, 0), ports=(WEB,))
    world.create("job", resources=Resources(500, 100, 0))
    world.place("web", (0, "node1"), (1, "node2"), ports=[(8080,), (8080,)])
    world.place("job", (0, "node1"))
    world.update("running", "job", started_at_ms=5, address="172.17.0.2")
    epoch = world.view.capacity_epoch
    applied = world.down("node1", "gossip says so")
    # in the order of allocation ids, which look random
    assert texts(applied)[0] == "node1 went down (gossip says so): 2 tasks lost"
    assert sorted(texts(applied)[1:]) == ["job/0 lost: node1 went down", "web/0 lost: node1 went down"]
    assert world.view.free("node1") == world.view.node("node1").capacity
    assert world.view.ports_held("engine-of-node1") == {}
    assert world.view.capacity_epoch != epoch
    assert world.view.open_slots("web", 9) == [0]
    assert world.view.task("web", 1).state == "scheduled"
    lost = world.newest("job").status
    assert (lost.state, lost.reason, lost.started_at_ms, lost.finished_at_ms) == ("lost", "node1 went down", 5, 50)
    assert world.view.task("job", 0).reason == "node1 went down; waiting to be placed"


def test_many_lost_tasks_are_summed_up():
    world = World(nodes=1)
    world.create(count=30)
    placed = world.place("web", *((n, "node1") for n in range(30)))
    assert texts(placed) == ["30 tasks of web placed on 1 node"]
    assert texts(world.down("node1")) == ["node1 went down: 30 tasks lost"]


def test_left_keeps_the_work():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    applied = world.left("node1", grace_ms=60_000)
    assert texts(applied) == ["node1 left on purpose; 1 task waits for it up to 60 s"]
    assert (applied.result.status, applied.result.grace_ms) == (NodeStatus.LEFT, 60_000)
    assert world.state_of() == "scheduled"
    assert not world.view.node("node1").schedulable
    back = world.register("node1")
    assert kinds(back) == ["NodeCameBack"]
    assert (back.result.status, back.result.grace_ms) == (NodeStatus.READY, 0)
    assert world.state_of() == "scheduled"


def test_only_left_and_down_nodes_come_back():
    world = World(nodes=1)
    raft = world.view.node("node1").raft_id
    assert world.do(SetNodeStatus(1, "node1", raft, NodeStatus.READY)).events == ()
    world.down("node1")
    assert kinds(world.do(SetNodeStatus(1, "node1", raft, NodeStatus.READY))) == ["NodeCameBack"]
    assert world.view.node("node1").schedulable


def test_leaving_is_no_way_out_of_being_down():
    world = World(nodes=1)
    world.down("node1")
    assert world.left("node1").events == ()
    assert world.view.node("node1").status is NodeStatus.DOWN


def test_a_verdict_about_another_data_directory_is_void():
    world = World(nodes=1)
    applied = world.do(SetNodeStatus(1, "node1", 4711, NodeStatus.DOWN))
    assert (applied.result, applied.events) == (None, ())
    assert world.view.node("node1").status is NodeStatus.READY


def test_unknown_nodes_are_not_found():
    world = World()
    for command in (
        SetNodeStatus(1, "nobody", 1, NodeStatus.DOWN),
        DrainNode(1, "nobody", True),
        RemoveNode(1, "nobody"),
    ):
        error = world.refused(command)
        assert isinstance(error, NotFound)
        assert "nobody" in error.detail


# --- engine ------------------------------------------------------------------------------------------------


def test_an_engine_that_does_not_answer_takes_no_new_work_and_keeps_the_old():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    applied = world.register("node1", engine_down="connection refused")
    assert texts(applied) == ["the container engine of node1 does not answer: connection refused"]
    assert not applied.result.schedulable
    assert world.state_of() == "scheduled"
    assert texts(world.register("node1")) == ["the container engine of node1 answers again"]


def test_a_node_that_starts_while_its_engine_is_down_still_has_the_same_one():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    applied = world.register("node1", engine="", engine_down="connection refused")
    assert applied.result.engine == "engine-of-node1"
    assert world.state_of() == "scheduled"


def test_another_engine_has_none_of_the_containers():
    world = World(nodes=1)
    world.create(ports=(WEB,))
    world.place("web", (0, "node1"), ports=[(8080,)])
    applied = world.register("node1", engine="new")
    assert texts(applied) == [
        "node1 has changed: engine",
        "web/0 lost: node1 has another container engine now",
    ]
    assert world.state_of() == "pending"
    world.place("web", (0, "node1"), ports=[(8080,)])
    assert list(world.state.engines) == ["new"]


def test_a_node_that_shrank_keeps_its_work_and_takes_no_more():
    world = World(nodes=1)
    world.create(count=2, resources=Resources(1_000, 0, 0))
    world.place("web", (0, "node1"))
    world.register("node1", capacity=Resources(500, 10, 10))
    assert world.view.free("node1") == Resources(-500, 10, 10)
    world.place("web", (1, "node1"))
    assert world.view.open_slots("web", 9) == [1]


# --- drain and remove --------------------------------------------------------------------------------------


def test_draining_is_a_flag_that_survives_a_restart():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    applied = world.drain("node1")
    assert texts(applied) == ["node1 is draining: 1 task to move"]
    assert world.drain("node1").events == ()
    assert [*world.view.jobs_to_place(), *world.view.jobs_refused()] == ["web"]
    world.left("node1")
    assert world.register("node1").result.draining
    world.stop_allocations(world.newest().id)
    assert texts(world.update("stopped")) == ["web/0 stopped on node1", "node1 is drained: no task is left on it"]
    assert texts(world.drain("node1", draining=False)) == ["node1 takes work again"]


def test_removing_needs_a_node_that_is_drained_and_empty():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    error = world.refused(RemoveNode(1, "node1"))
    assert isinstance(error, Conflict)
    assert error.detail == "node1 is in use; drain it first: orion drain node1"
    world.drain("node1")
    assert "still has 1 task" in world.refused(RemoveNode(1, "node1")).detail
    world.stop_allocations(world.newest().id)
    world.update("stopped")
    assert texts(world.remove("node1")) == ["node1 was removed"]
    assert world.view.node("node1") is None


def test_refusals_are_worth_another_look_when_a_node_is_removed():
    """They count it as down, though it frees nothing."""
    world = World(nodes=2)
    world.down("node1")
    epoch = world.view.capacity_epoch
    world.remove("node1")
    assert world.view.capacity_epoch != epoch


def test_removing_spares_a_node_that_came_back_with_another_data_directory():
    world = World(nodes=1)
    former = world.view.node("node1").raft_id
    world.down("node1")
    world.register("node1", raft=former + 1, replaces=True)
    world.down("node1")
    error = world.refused(RemoveNode(1, "node1", former))
    assert isinstance(error, Conflict)
    assert "another data directory" in error.detail
    assert texts(world.do(RemoveNode(1, "node1", former + 1))) == ["node1 was removed"]


def test_a_late_copy_of_a_drain_drains_nothing():
    world = World(nodes=1)
    drain = DrainNode(1, "node1", True, "x", world.index)
    assert world.do(drain).result == "node1"
    ready = DrainNode(1, "node1", False, "x", world.index)  # one key for both: they are no copies of each other
    assert world.do(ready).result == "node1"
    again = world.do(drain)
    assert (again.result, again.events) == ("node1", ())
    assert not world.view.node("node1").draining
    world.drain("node1")
    world.do(ready)
    assert world.view.node("node1").draining


def test_a_late_copy_of_a_removal_removes_nothing():
    world = World(nodes=1)
    world.down("node1")
    removal = RemoveNode(1, "node1", 0, "x", world.index)
    assert world.do(removal).result == "node1"
    world.register("node1", raft=77)
    world.down("node1")
    assert world.do(removal).result == "node1"
    assert world.view.node("node1").raft_id == 77


def test_a_late_copy_of_a_refused_removal_is_refused():
    world = World(nodes=1)
    removal = RemoveNode(1, "node1", 0, "x", world.index)
    told = world.refused(removal)
    world.down("node1")
    assert world.refused(removal).detail == told.detail


def test_a_copy_that_comes_after_its_answer_was_forgotten_drains_nothing(monkeypatch):
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 1)
    world = World(nodes=1)
    drain = DrainNode(1, "node1", True, "x", world.index)
    world.do(drain)
    world.drain("node1", draining=False)
    world.create()
    assert isinstance(world.refused(drain), AnswerForgotten)


def test_removing_a_node_that_left_loses_its_work():
    world = World(nodes=2)
    world.create()
    world.place("web", (0, "node1"))
    world.left("node1")
    applied = world.remove("node1")
    assert texts(applied) == ["node1 was removed: 1 task lost", "web/0 lost: node1 was removed"]
    assert world.state_of() == "pending"
    # what is remembered of it outlives it, and is shown again when a node of that name joins
    assert [a.status.state for a in world.view.allocations_of_node("node1")] == ["lost"]
    world.register("node1", raft=77)
    assert len(world.view.allocations_of_node("node1")) == 1
    world.rm()
    assert world.view.allocations_of_node("node1") == []


def test_a_stopping_job_is_forgotten_with_the_node_that_had_its_last_task():
    world = World(nodes=1)
    world.create()
    world.place("web", (0, "node1"))
    world.rm()
    applied = world.down("node1")
    assert texts(applied) == ["node1 went down", "web has stopped and is forgotten"]
    assert world.view.job("web") is None


# --- cluster -----------------------------------------------------------------------------------------------


def test_the_first_cluster_id_counts_and_salts_the_allocation_ids():
    world = World(nodes=1)
    assert world.view.cluster == CLUSTER
    world.do(InitCluster(1, 2))
    assert world.view.cluster == CLUSTER
    world.create(count=2)
    world.place("web", (0, "node1"), (1, "node1"))
    salt = CLUSTER & 0xFFFFFFFF
    assert [world.newest("web", n).id for n in (0, 1)] == [allocation_id(0, salt), allocation_id(1, salt)]
