"""What a node lost by going down, and nothing has taken the place of, goes on when it is back."""

import pytest
from msgspec.structs import replace
from rollout_kit import Rollout
from state_kit import CAPACITY, WEB, World, kinds, texts
from test_system_jobs import SystemWorld

from orion.model.job import TaskSpec
from orion.model.levels import LEVEL
from orion.model.network import Subnet
from orion.model.node import NodeStatus
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources
from orion.model.storage import SystemPart
from orion.model.volumes import VolumeKind, VolumeMount
from orion.node.agent.assignments import assignments_of
from orion.state.check import rebuilt, state_hash
from orion.state.tables.job_changes import PutJob
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.subnets import Subnets
from orion.state.tables.volumes import Volumes

DATA = (VolumeMount("/data", "data"),)
RUNS = {"started_at_ms": 30, "address": "172.17.0.2", "container": "c1", "restarts": 2}
FIRST = 10 << 24 | 200 << 16 | 1 << 8


class Nodes(World):
    """Two nodes. `engine`: of node2, where it is not one of its own."""

    def __init__(self, level=LEVEL, engine=""):
        super().__init__()
        self.state.level = level
        self.register("node1", level=level)
        self.register("node2", level=level, engine=engine or "engine-of-node2")

    def running(self, count=1, host_ports=(), **task):
        """The job `web`, whose first task runs on node1."""
        self.create("web", count, **task)
        self.place("web", (0, "node1"), ports=[host_ports] if host_ports else ())
        self.update("running", **RUNS)
        return self.newest()

    def go_down(self, at_ms=50):
        raft = self.state.nodes["node1"].raft_id
        return self.do(SetNodeStatus(at_ms, "node1", raft, NodeStatus.DOWN))

    def back(self, **facts):
        """Returns the events of its return."""
        events = kinds(self.register("node1", **{"level": LEVEL} | facts))
        assert state_hash(rebuilt(self.state)) == state_hash(self.state)
        return events

    def is_lost(self, allocation):
        return self.view.allocation(allocation.id).status.state == "lost"


@pytest.fixture
def world():
    return Nodes()


def test_it_goes_on_as_the_same_run(world):
    ran = world.running(volumes=DATA)
    world.go_down()
    assert world.is_lost(ran)
    applied = world.register("node1", level=LEVEL)
    assert texts(applied) == ["node1 came back", "web/0 goes on on node1: nothing took its place"]
    now = world.newest()
    assert (now.id, now.wanted, now.ran) == (ran.id, True, True)
    assert (now.status.state, now.status.reason, now.status.finished_at_ms) == ("scheduled", "", 0)
    assert (now.status.container, now.status.started_at_ms, now.status.restarts) == ("c1", 30, 2)
    assert world.state.jobs["web"].open_count == 0
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)
    world.update("running", **RUNS)
    assert world.state_of() == "running"


def test_so_it_does_where_gossip_is_first_to_show_the_node(world):
    ran = world.running()
    world.go_down()
    ready = SetNodeStatus(60, "node1", world.state.nodes["node1"].raft_id, NodeStatus.READY)
    assert kinds(world.do(ready)) == ["NodeCameBack", "TaskReconnected"]
    assert not world.is_lost(ran)
    assert world.back() == []


def test_what_it_held_is_held_again(world):
    world.running(resources=Resources(1_000, 1_000, 1_000), ports=(WEB,), host_ports=(8080,))
    held = _held(world)
    world.go_down()
    assert _held(world) != held
    world.back()
    assert _held(world) == held


def _held(world):
    node = world.state.records["node1"]
    return node.cpu_free, node.memory_free, node.disk_free, dict(node.ports), node.tasks, node.load


def test_not_when_another_node_has_taken_over(world):
    lost = world.running()
    world.go_down()
    world.place("web", (0, "node2"))
    assert world.back() == ["NodeCameBack"]
    assert world.is_lost(lost)
    assert world.newest().node == "node2"


def test_not_what_an_earlier_death_has_lost(world):
    lost = world.running()
    world.go_down()
    world.drain("node1")
    world.back()
    world.drain("node1", draining=False)
    world.go_down(at_ms=90)
    assert world.back() == ["NodeCameBack"]
    assert world.is_lost(lost)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda world: world.stop(),
        lambda world: world.rm(),
        lambda world: world.drain("node1"),
        lambda world: (world.stop(), world.start()),
    ],
    ids=["stopped", "removed", "drained", "started again"],
)
def test_not_where_it_is_not_wanted_any_more(world, meanwhile):
    lost = world.running()
    world.go_down()
    meanwhile(world)
    assert "TaskReconnected" not in world.back()
    assert world.view.allocation(lost.id) is None or world.is_lost(lost)


@pytest.mark.parametrize(
    "facts",
    [
        {"engine": "another"},
        {"raft": 99, "replaces": True},
        {"engine_down": "connection refused"},
        {"capacity": replace(CAPACITY, cpu_millis=2_000)},
    ],
    ids=["another engine", "an empty data directory", "no engine", "less room"],
)
def test_not_where_the_node_is_not_what_it_was(world, facts):
    lost = world.running(resources=Resources(3_000, 0, 0))
    world.go_down()
    assert "TaskReconnected" not in world.back(**facts)
    assert world.is_lost(lost)


def test_not_where_its_port_is_held_on_the_engine():
    world = Nodes(engine="engine-of-node1")
    lost = world.running(ports=(WEB,), host_ports=(8080,))
    world.go_down()
    world.create("other", ports=(WEB,))
    world.place("other", (0, "node2"), ports=[(8080,)])
    assert "TaskReconnected" not in world.back()
    assert world.is_lost(lost)


def test_not_beside_another_of_a_job_that_keeps_apart():
    world = Nodes(engine="engine-of-node1")
    lost = world.running(count=2, rules=PlacementRules(distinct_hosts=True))
    world.go_down()
    world.place("web", (1, "node2"))
    assert "TaskReconnected" not in world.back()
    assert world.is_lost(lost)


@pytest.mark.parametrize("row", [None, Subnet("node2", FIRST)], ids=["no subnet", "another node's"])
def test_not_at_an_address_that_is_its_nodes_no_more(world, row):
    subnets = world.state.of(Subnets)
    subnets.put(Subnet("node1", FIRST))
    with_address = replace(world.running(), ip=FIRST + 2)
    world.state.allocations[with_address.id] = world.state.jobs["web"].slots[0] = with_address
    world.go_down()
    subnets.drop(("node1", 0))
    if row is not None:
        subnets.put(row)
    assert "TaskReconnected" not in world.back()
    assert world.is_lost(with_address)


def test_at_its_address_where_nobody_has_it(world):
    world.state.of(Subnets).put(Subnet("node1", FIRST))
    with_address = replace(world.running(), ip=FIRST + 2)
    world.state.allocations[with_address.id] = world.state.jobs["web"].slots[0] = with_address
    world.go_down()
    assert "TaskReconnected" in world.back()
    assert world.newest().ip == FIRST + 2


@pytest.mark.parametrize(
    "change",
    [
        {"moving_to": "node2", "data": "d"},
        {"home": "node2", "data": "d"},
        {"kind": VolumeKind.CSI, "system": SystemPart(), "driver": "disks", "data": "d"},
    ],
    ids=["it moves", "it has moved", "a storage system's"],
)
def test_not_without_its_volume(world, change):
    lost = world.running(volumes=DATA)
    volumes = world.state.of(Volumes)
    world.go_down()
    volumes.put(replace(volumes.get("data"), **change))
    assert "TaskReconnected" not in world.back()
    assert world.is_lost(lost)


def test_not_where_its_volume_has_got_another_home_before_it_had_data(world):
    lost = world.running(volumes=DATA)
    volumes = world.state.of(Volumes)
    world.go_down()
    volumes.put(replace(volumes.get("data"), home="node2"))
    assert "TaskReconnected" not in world.back()
    assert world.is_lost(lost)


def test_not_where_the_node_has_not_its_label_any_more(world):
    lost = world.running(constraints=(("id", "node1"),))
    world.go_down()
    assert "TaskReconnected" not in world.back(labels=(("id", "another"),))
    assert world.is_lost(lost)


def test_its_agent_is_told_what_may_return_while_the_node_is_down(world):
    ran = world.running()
    raft = world.state.nodes["node1"].raft_id

    def told():
        return assignments_of(world.view, world.index, "node1", raft).may_return

    assert told() == ()
    world.go_down()
    assert told() == (ran.id,)
    world.place("web", (0, "node2"))
    assert told() == ()


@pytest.mark.parametrize("others", range(8))
def test_a_system_jobs_slots_may_be_given_up_on_the_way(others):
    """The node's return takes a slot from the end of the job, and with it a run of the node's life before.
    `others`: allocations before these, so that ids come in another order.
    """
    world = SystemWorld()
    for number in range(others):
        world.create(f"other{number}")
        world.place(f"other{number}", (0, "node1"))
    world.rest()
    world.down("node3")
    world.fit()
    world.remove("node3")
    world.register("node4", level=LEVEL)
    world.rest()
    world.down("node1")
    world.fit()
    world.remove("node1")
    world.register("node3", raft=77, level=LEVEL)
    world.rest()
    world.down("node4")
    world.down("node3")
    world.fit()
    world.remove("node4")
    assert "TaskReconnected" in kinds(world.register("node3", raft=77, level=LEVEL))
    assert world.homes == ("node3", "node2")


def test_not_as_another_version_than_its_slot_wants():
    world = Rollout(nodes=1)
    world.deploy(count=1)
    world.tick()
    (lost,) = world.active()
    world.down("node1")
    job = world.view.job("web")
    world.do(PutJob(100, replace(job, task=TaskSpec("nginx:2")), "put", world.index))
    for _ in range(3):
        world.lead()
    assert world.view.job_record("web").version(0) == 1
    assert "TaskReconnected" not in kinds(world.register("node1", level=LEVEL))
    assert world.view.allocation(lost.id).status.state == "lost"


def test_a_system_job_has_its_node_again_and_goes_on_there():
    world = SystemWorld()
    world.rest()
    (ran,) = [each for each in world.active() if each.node == "node2"]
    world.down("node2")
    world.fit()
    assert "node2" not in world.homes
    assert kinds(world.register("node2", level=LEVEL)) == ["NodeCameBack", "SystemJobFitted", "TaskReconnected"]
    assert world.where()[ran.index] == "node2"
    assert world.view.allocation(ran.id).status.state == "scheduled"


def test_not_in_a_cluster_of_former_builds():
    world = Nodes(level=1)
    lost = world.running()
    world.go_down()
    assert world.back(level=1) == ["NodeCameBack"]
    assert world.is_lost(lost)


def test_many_are_summed_up(world):
    world.create(count=30)
    world.place("web", *((index, "node1") for index in range(30)))
    world.go_down()
    assert texts(world.register("node1", level=LEVEL)) == ["node1 came back", "30 tasks of node1 go on"]
    assert world.state.jobs["web"].active == 30
