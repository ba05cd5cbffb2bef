"""Tasks with volumes of storage systems go where the plugin is and reaches them, together where one node alone may
have them, and anywhere else once nobody has them any more.
"""

import msgspec
import pytest
from test_schedule import Cluster

from orion.model.claims import ClaimPhase
from orion.model.csi import AccessMode
from orion.model.ids import NodeId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.placement_text import waiting_text
from orion.model.storage import NodePlugin, SystemPart
from orion.model.volumes import Volume, VolumeKind, VolumeMount
from orion.state.check import check
from orion.state.tables.claims import BeginClaim, Claims, MoveClaim
from orion.state.tables.jobs import CreateJob
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.volumes import Volumes

DATA, READS = VolumeMount("/data", "data"), VolumeMount("/data", "data", read_only=True)
DRIVER = "disk.example.org"
ZONE = "disk.example.org/zone"


class Storage(Cluster):
    def plugin(self, n, *, zone="", most=0, node=True):
        topology = ((ZONE, zone),) if zone else ()
        plugin = NodePlugin(
            DRIVER, "1", controller=True, node=node, known_as=f"p{n}", max_volumes=most, topology=topology
        )
        former = self.view.node(NodeId(f"n{n}"))
        capacity, engine = former.capacity, former.engine_id
        self.do(
            RegisterNode(1, former.id, n, "p", "a", capacity, (), engine, "0.1", level=LEVEL, plugins=(plugin,))
        )

    def volume(self, name="data", access=AccessMode.SINGLE_NODE_WRITER, data="d1", zones=(), **part):
        topologies = tuple(((ZONE, zone),) for zone in zones)
        system = SystemPart(access, topologies=topologies, **part)
        row = Volume(name, VolumeKind.CSI, created_index=1, data=data, driver=DRIVER, system=system)
        self.state.of(Volumes).put(row)

    def waits(self, job):
        self.run()
        return waiting_text(self.view.refusal(job), self.view.job(job).task)


@pytest.fixture
def cluster():
    cluster = Storage(4)
    yield cluster
    check(cluster.state)


def test_a_task_goes_where_the_plugin_has_its_node_part(cluster):
    cluster.volume()
    cluster.job("db", volumes=(DATA,))
    assert "its volume data is of storage plugin disk.example.org, which works on no node" in cluster.waits("db")
    cluster.plugin(1, node=False)
    assert "works on no node" in cluster.waits("db")
    cluster.plugin(3)
    cluster.run()
    assert cluster.where("db") == {0: "n3"}


def test_it_goes_only_from_where_the_volume_is_reached(cluster):
    for n, zone in enumerate("aabb", 1):
        cluster.plugin(n, zone=zone)
    cluster.volume(zones=["b"], access=AccessMode.MULTI_NODE_MULTI_WRITER)
    cluster.job("web", count=4, volumes=(DATA,))
    cluster.run()
    assert set(cluster.where("web").values()) == {"n3", "n4"}


def test_a_volume_of_one_node_has_all_of_its_tasks_there_until_that_node_dies(cluster):
    for n in range(1, 5):
        cluster.plugin(n)
    cluster.volume()
    cluster.job("db", count=2, volumes=(DATA,))
    cluster.run()
    cluster.job("more", volumes=(DATA,))
    cluster.run()
    (home,) = {*cluster.where("db").values(), *cluster.where("more").values()}
    cluster.do(SetNodeStatus(1, home, int(home[1:]), NodeStatus.DOWN))
    cluster.run()
    (other,) = {*cluster.where("db").values(), *cluster.where("more").values()}
    assert other != home
    assert cluster.state.of(Volumes).get("data").home == other


def test_readers_go_anywhere_where_readers_may(cluster):
    for n in range(1, 5):
        cluster.plugin(n)
    cluster.volume(access=AccessMode.MULTI_NODE_SINGLE_WRITER)
    cluster.job("writes", volumes=(DATA,))
    cluster.job("reads", count=4, volumes=(READS,))
    cluster.run()
    assert len(set(cluster.where("reads").values())) == 4
    cluster.job("second", count=2, volumes=(DATA,))
    cluster.run()
    assert set(cluster.where("second").values()) == set(cluster.where("writes").values())


def test_a_plugin_takes_so_many_volumes_on_a_node(cluster):
    cluster.plugin(1, most=2)
    for name in ("a", "b", "c"):
        cluster.volume(name)
        cluster.job(f"job-{name}", volumes=(VolumeMount("/data", name),))
    for name in ("a", "b"):
        cluster.run(f"job-{name}")
        cluster.do(BeginClaim(1, name, 1, NodeId("n1"), False, 0, "p1"))
    assert "works on no node that it may be on and has room" in cluster.waits("job-c")
    cluster.end("job-b", 0)
    for phase in (ClaimPhase.UNPUBLISHING, None):
        claim = cluster.state.of(Claims).get(("b", "n1"))
        cluster.do(MoveClaim(1, "b", NodeId("n1"), claim.as_of, phase))
    cluster.run("job-c")
    assert cluster.where("job-c") == {0: "n1"}


def test_one_that_is_not_made_or_goes_is_waited_for_in_words(cluster):
    cluster.plugin(1)
    cluster.volume(data="")
    cluster.job("db", volumes=(DATA,))
    assert "its volume data is being made" in cluster.waits("db")
    cluster.volume(removing=True)
    assert "its volume data is being removed" in cluster.waits("db")
    cluster.volume()
    cluster.run()
    assert cluster.where("db") == {0: "n1"}


def test_a_plan_that_is_late_gives_no_volume_to_a_node_without_its_plugin(cluster):
    cluster.plugin(1)
    cluster.volume()
    cluster.job("db", volumes=(DATA,))
    plan = cluster.plan()
    former = cluster.view.node(NodeId("n1"))
    cluster.do(RegisterNode(1, "n1", 1, "p", "a", former.capacity, (), "e1", "0.1", level=LEVEL))
    cluster.do(plan.command(1))
    assert cluster.where("db") == {}
    assert msgspec.structs.asdict(cluster.state.of(Volumes).get("data"))["home"] == ""


def test_a_task_on_each_node_shares_a_volume_that_many_may_have(cluster):
    for n in range(1, 5):
        cluster.plugin(n)
    cluster.volume(access=AccessMode.MULTI_NODE_MULTI_WRITER)
    spec = TaskSpec("app", volumes=(DATA,))
    homes = tuple(NodeId(f"n{n}") for n in range(1, 5))
    job = Job("agent", JobKind.SYSTEM, 4, spec, homes=homes)
    cluster.do(CreateJob(1, job, "create agent", 0))
    cluster.run()
    assert set(cluster.where("agent").values()) == set(homes)
