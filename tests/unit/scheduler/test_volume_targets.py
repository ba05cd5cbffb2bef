"""The node to which a volume goes where nobody says one."""

from test_schedule import GB, Cluster

from orion.model.ids import NodeId
from orion.model.volumes import Volume, VolumeMount
from orion.scheduler.volume_targets import target_for
from orion.state.tables.node_changes import DrainNode
from orion.state.tables.volume_changes import SetVolumeData
from orion.state.tables.volume_moves import BeginVolumeMove
from orion.state.tables.volumes import Volumes

DATA, LOGS = VolumeMount("/data", "data"), VolumeMount("/logs", "logs")


def placed(cluster, *volumes, **asked):
    cluster.job("db", volumes=volumes, **asked)
    cluster.run()
    for row in list(cluster.state.of(Volumes).rows.values()):
        cluster.do(SetVolumeData(1, row.home, row.name, row.created_index, "d1"))
    return cluster.where("db")[0]


def target(cluster, name="data"):
    return target_for(cluster.view, cluster.state.of(Volumes).get(name))


def test_it_goes_where_its_task_fits():
    cluster = Cluster()
    cluster.node(1, memory=4 * GB)
    cluster.node(2, memory=GB, labels=(("zone", "a"),))
    cluster.node(3, memory=4 * GB, labels=(("zone", "a"),))
    assert placed(cluster, DATA, memory=2 * GB) in ("n1", "n3")
    home = cluster.where("db")[0]
    assert target(cluster) == ("n3" if home == "n1" else "n1")
    cluster.do(DrainNode(1, target(cluster), True))
    assert target(cluster) is None


def test_volumes_of_one_task_go_together():
    cluster = Cluster(4)
    placed(cluster, DATA, LOGS)
    cluster.do(BeginVolumeMove(1, "data", NodeId("n4"), "move", cluster.state.index))
    assert target(cluster, "logs") == "n4"


def test_a_volume_that_nobody_asks_for_goes_where_most_disk_is_free():
    cluster = Cluster()
    for n, disk in enumerate((300, 100, 200), 1):
        cluster.node(n, disk=disk * GB)
    cluster.job("full", disk=150 * GB)
    cluster.run()
    assert target_for(cluster.view, Volume("new")) in ("n1", "n3")
    assert target_for(cluster.view, Volume("new", home=NodeId("n1"), data="d1")) == "n3"
