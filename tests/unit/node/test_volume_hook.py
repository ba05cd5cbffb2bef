"""The agent's hook for volumes: made once, found again, and never an empty one in the place of another."""

import random

import msgspec
from agent_kit import ME, run

from orion.model.container import Mount
from orion.model.errors import Conflict
from orion.model.ids import NodeId
from orion.model.volumes import Volume, VolumeMount
from orion.node.agent.hooks.volumes import VolumeMounts
from sim.volumes import SimVolumes, VolumeDisk

DATA = VolumeMount("/data", "data")


class ClusterOfOne:
    """The cluster's word on volumes, in the test's hand."""

    def __init__(self, *volumes):
        self.volumes = {each.name: each for each in volumes}
        self.told = []

    async def read(self, name):
        return self.volumes.get(name)

    async def tell(self, volume, data):
        self.told.append((volume.name, data))
        now = self.volumes[volume.name]
        if now.data not in ("", data):
            raise Conflict(f"volume {volume.name} has data already")
        self.volumes[volume.name] = msgspec.structs.replace(now, data=data)


def hook(cluster, disk):
    rng = random.Random(1)
    volumes = SimVolumes(rng, "n", disk)
    return VolumeMounts(ME, volumes, cluster=lambda: cluster, systems=dict, random_bits=rng.getrandbits)


def reasons(bench, identity):
    return [status.reason for allocation, status in bench.reports if allocation == identity]


def mounts(bench, identity):
    return bench.engine.mounts[bench.held(identity).shown.id]


def test_a_volume_is_made_once_and_the_cluster_told_before_its_container_is():
    cluster, disk = ClusterOfOne(Volume("data", home=ME, created_index=4)), VolumeDisk()

    async def main(bench):
        db = bench.assign(volumes=(DATA, VolumeMount("/x", source="/srv", read_only=True)))
        await bench.until(lambda: bench.running(db))
        assert mounts(bench, db) == (Mount("/data", "/n/data.4/"), Mount("/x", "/srv", True))
        assert cluster.told == [("data", disk.data["data.4"])]
        other = bench.assign(2, volumes=(DATA,))
        await bench.until(lambda: bench.running(other))
        assert len(cluster.told) == 1

    run(main, hooks=(hook(cluster, disk),))


def test_data_that_was_made_and_never_told_of_is_told_of():
    cluster, disk = ClusterOfOne(Volume("data", home=ME, created_index=4)), VolumeDisk()
    disk.data["data.4"] = "d1"

    async def main(bench):
        db = bench.assign(volumes=(DATA,))
        await bench.until(lambda: bench.running(db))
        assert cluster.told == [("data", "d1")]

    run(main, hooks=(hook(cluster, disk),))


def test_data_that_is_missing_or_another_is_an_error_and_nothing_is_made():
    for there, words in ((None, "is missing on node1"), ("d2", "is not what is on node1")):
        cluster = ClusterOfOne(Volume("data", home=ME, created_index=4, data="d1"))
        disk = VolumeDisk()
        if there:
            disk.data["data.4"] = there

        async def main(bench, words=words):
            db = bench.assign(volumes=(DATA,))
            await bench.until(lambda: any(words in reason for reason in reasons(bench, db)))
            assert not bench.engine.mounts

        run(main, hooks=(hook(cluster, disk),))
        assert disk.data == ({"data.4": there} if there else {})


def test_a_volume_that_is_elsewhere_is_waited_for():
    cluster = ClusterOfOne(Volume("data", home=NodeId("node2"), created_index=4, data="d1"))
    disk = VolumeDisk()

    async def main(bench):
        db = bench.assign(volumes=(DATA,))
        await bench.until(lambda: any("which is not on node1" in reason for reason in reasons(bench, db)))
        assert not [status for _, status in bench.reports if status.failed_starts]
        cluster.volumes["data"] = Volume("data", home=ME, created_index=4)
        await bench.until(lambda: bench.running(db))

    run(main, hooks=(hook(cluster, disk),))


def test_a_path_that_the_node_has_not_is_a_start_that_fails_in_words():
    disk = VolumeDisk()

    async def main(bench):
        db = bench.assign(volumes=(VolumeMount("/x", source="/opt/x"),))
        await bench.until(lambda: any("node1 has no /opt/x" in reason for reason in reasons(bench, db)))
        await bench.until(lambda: any(status.failed_starts >= 2 for _, status in bench.reports))
        disk.paths.add("/opt/x")
        await bench.until(lambda: bench.running(db), seconds=90)

    run(main, hooks=(hook(ClusterOfOne(), disk),))
