"""Volumes of storage systems for the tasks of this node; what is mounted there is in the hand of the test."""

import asyncio

import pytest

from orion.model.allocation import Allocation
from orion.model.claims import Claim, ClaimedVolume, ClaimPhase
from orion.model.csi import AccessMode
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import TaskSpec
from orion.model.storage import SystemPart
from orion.model.volumes import Volume, VolumeKind, VolumeMount
from orion.node.agent.assignment_stream import Assignment, AssignmentSet
from orion.node.agent.hooks.hook import NotYet, StartRequest
from orion.node.routing.volumes_here import AskHere, Given, Here
from orion.node.volumes.task_volumes import TaskVolumes

ME = NodeId("node1")
SPEC = TaskSpec("nginx", volumes=(VolumeMount("/data", "data"),))


class Bench:
    """The cluster's word on this node, what is mounted here, and whoever is asked questions."""

    def __init__(self, access=AccessMode.SINGLE_NODE_WRITER, size_bytes=0):
        part = SystemPart(access, has_bytes=size_bytes, node_grows=True)
        self.volume = Volume("data", VolumeKind.CSI, created_index=4, data="d", driver="x", system=part)
        self.latest = None
        self.on_change = []
        self.mounted = set()
        self.said, self.is_settled, self.wanted = "", False, []
        self.answers = {}
        self.tasks = TaskVolumes(
            me=ME, source=self, agent=self, volumes=self, forward=None, registry=self, secrets=None
        )

    def answer_call(self, kind, handler):
        self.answers[kind] = handler

    def may_run(self, _):
        return False

    def assign(self, *jobs):
        assigned = tuple(
            Assignment(Allocation(AllocationId(number), JobName(job), 0, 0, ME), SPEC)
            for number, job in enumerate(jobs, 1)
        )
        claim = Claim("data", ME, 4, ClaimPhase.PUBLISHED, 5)
        self.latest = AssignmentSet(
            1, 7, registered=True, assigned=assigned, neighbours=(), claims=(ClaimedVolume(claim, self.volume),)
        )

    def waits(self, number):
        each = self.latest.assigned[number - 1]
        with pytest.raises(NotYet) as wait:
            asyncio.run(self.tasks.path(self.volume, StartRequest(each.allocation, each.spec)))
        return str(wait.value)

    def here(self, *given):
        return asyncio.run(self.answers[AskHere](AskHere(given), None)).found

    # --- as NodeVolumes -------------------------------------------------------------------------------------

    def target_path(self, _plugin, _volume, allocation):
        return f"/t/{allocation}"

    def want(self, volumes):
        self.wanted = list(volumes)

    def ready(self, _plugin, _volume, path):
        return path in self.mounted

    def settled(self, _plugin, _volume):
        return self.is_settled

    def why_not(self, _plugin, _volume):
        return self.said


def test_a_task_is_told_who_has_a_volume_that_one_task_may_have():
    bench = Bench(AccessMode.SINGLE_NODE_SINGLE_WRITER)
    bench.assign("db", "web")
    bench.said = "plugin x: NodePublishVolume was refused"
    assert bench.waits(2) == "waits for its volume data: plugin x: NodePublishVolume was refused"
    bench.mounted.add("/t/1")
    assert bench.waits(2) == (
        "waits for its volume data: task db/0 has it, and it is single-node-single-writer, which is one task's at a"
        " time: stop db/0"
    )


def test_a_volume_of_several_tasks_waits_for_none_of_them():
    bench = Bench()
    bench.assign("db", "web")
    bench.mounted.add("/t/1")
    assert bench.waits(2) == "waits for its volume data: plugin x brings it to node1"


def test_a_node_says_how_a_volume_is_that_it_was_given():
    bench = Bench(size_bytes=500)
    bench.assign("db")
    bench.said = "ext4 can't grow"
    assert bench.here(Given("data", 4, 500)) == [Here(False, "ext4 can't grow")]
    bench.said, bench.is_settled = "", True
    assert bench.here(Given("data", 4, 500)) == [Here(True)]
    assert [each.size_bytes for each in bench.wanted] == [500]


def test_a_node_that_has_not_heard_of_a_size_or_a_volume_is_not_done():
    bench = Bench(size_bytes=500)
    bench.assign("db")
    bench.is_settled = True
    asked = Given("data", 4, 501), Given("data", 5), Given("logs", 4)
    assert bench.here(*asked) == [Here(False), Here(False), Here(False)]
