"""A state to play with: commands go in as bytes, and after each one every index is checked against the tables."""

import itertools
from zlib import crc32

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.errors import OrionError
from orion.model.job import Job, JobKind, PortBinding, TaskSpec
from orion.model.levels import LEVEL
from orion.model.node import NodeStatus
from orion.model.placement import PlacementFailure, ResourceShortage
from orion.model.resources import Resources
from orion.state.apply import apply
from orion.state.check import check, rebuilt
from orion.state.commands import encode_command
from orion.state.tables import State
from orion.state.tables.allocation_updates import UpdateAllocations
from orion.state.tables.cluster import InitCluster
from orion.state.tables.configs import Configs, DeleteConfig, PutConfig
from orion.state.tables.jobs import CreateJob, RemoveJob, StartJob, StopJob
from orion.state.tables.node_changes import DrainNode, RemoveNode
from orion.state.tables.node_labels import LabelNode
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan, Placements, Refusal

CLUSTER = 0xABCDEF0123456789
CAPACITY = Resources(4_000, 1_000_000_000, 10_000_000_000)
WEB = PortBinding(80, "tcp", 8080)
ANY = PortBinding(80, "tcp")
NO_ROOM = PlacementFailure(memory=ResourceShortage(1, 100))


class World:
    def __init__(self, nodes=0):
        self.state = State()
        self.index = 0
        self.do(InitCluster(0, CLUSTER))
        for n in range(1, nodes + 1):
            self.register(f"node{n}")

    @property
    def view(self):
        return self.state.view

    def do(self, command):
        self.index += 1
        applied = apply(self.state, self.index, encode_command(command))
        check(self.state)
        return applied

    def refused(self, command):
        """Apply a command that must be refused and must change nothing."""
        before = tables(self.state)
        applied = self.do(command)
        assert isinstance(applied.result, OrionError)
        assert applied.events == ()
        assert tables(self.state) == before
        return applied.result

    def register(self, node, raft=None, **facts):
        return self.do(registration(node, raft, **facts))

    def down(self, node, reason="", **more):
        raft = self.state.nodes[node].raft_id
        return self.do(SetNodeStatus(50, node, raft, NodeStatus.DOWN, reason, **more))

    def left(self, node, grace_ms=60_000):
        return self.do(SetNodeStatus(50, node, self.state.nodes[node].raft_id, NodeStatus.LEFT, "", grace_ms))

    def label(self, node, **labels):
        return self.do(LabelNode(60, node, tuple(sorted(labels.items())), f"label {self.index}", self.index))

    def drain(self, node, draining=True):
        return self.do(DrainNode(60, node, draining))

    def remove(self, node):
        return self.do(RemoveNode(70, node))

    def create(self, name="web", count=1, key="", since=None, **task):
        key = key or f"create {self.index}"
        return self.do(creation(name, count, key, since=self.index if since is None else since, **task))

    def rm(self, name="web"):
        return self.do(removing(name, f"rm {self.index}", self.index))

    def stop(self, name="web"):
        return self.do(StopJob(80, name, f"stop {self.index}", self.index))

    def start(self, name="web"):
        return self.do(StartJob(80, name, f"start {self.index}", self.index))

    def place(self, name, *where, ports=(), version=0):
        """`where`: (index, node) pairs."""
        numbers = [self.state.nodes[node].number for _, node in where]
        created = self.view.job(name).created_index
        group = Placements(name, created, version, [index for index, _ in where], numbers, list(ports))
        return self.do(ApplyPlan(90, (group,)))

    def stop_allocations(self, *allocations):
        return self.do(ApplyPlan(95, (), tuple(allocations)))

    def refuse(self, name, failure=NO_ROOM):
        self.state.level = LEVEL
        return self.do(ApplyPlan(95, (), (), (Refusal(name, self.view.job(name).created_index, failure),)))

    def newest(self, name="web", index=0):
        return self.view.allocations_of_slot(name, index)[-1]

    def update(self, state, name="web", index=0, reason="", allocation=None, **details):
        """The node of the newest allocation of a slot (or of this one) reports."""
        allocation = allocation or self.newest(name, index)
        status = AllocationStatus(AllocationState(state), reason, **details)
        return self.do(UpdateAllocations(100, allocation.node, ((allocation.id, status),)))

    def put(self, key="app/a", value=b"one", if_version=None, idem="", since=None):
        return self.do(self.putting(key, value, if_version, idem, since))

    def putting(self, key="app/a", value=b"one", if_version=None, idem="", since=None):
        since = self.index if since is None else since
        return PutConfig(110, key, value, if_version, idem or f"put {self.index}", since)

    def deleting(self, key="app/a", if_version=None, idem="", since=None):
        since = self.index if since is None else since
        return DeleteConfig(120, key, if_version, idem or f"delete {self.index}", since)

    def delete(self, key="app/a", if_version=None, idem="", since=None):
        return self.do(self.deleting(key, if_version, idem, since))

    def state_of(self, name="web", index=0):
        return self.view.task(name, index).state


def registration(node, raft=None, **facts):
    given = {
        "peer_address": "10.0.0.1:7000",
        "api_address": "10.0.0.1:8000",
        "capacity": CAPACITY,
        "labels": (("id", node),),
        "engine": f"engine-of-{node}",
        "version": "0.1",
    }
    return RegisterNode(10, node, raft or crc32(node.encode()) + 1, **(given | facts))


def creation(name="web", count=1, key="", since=0, kind=JobKind.SERVICE, image="nginx", **task):
    job = Job(name, kind, count, TaskSpec(image, **task), created_at_ms=20)
    return CreateJob(20, job, key or f"key {next(_keys)}", since)


def removing(name="web", key="", since=0):
    return RemoveJob(80, name, key or f"key {next(_keys)}", since)


_keys = itertools.count()


def tables(state):
    """All that a state holds but for its index and its answers, comparable, independent of the state."""
    again = rebuilt(state)
    rows = {name: (r.job, r.successor, r.refusal, r.slots) for name, r in again.jobs.items()}
    counters = (again.cluster, again.next_number, again.next_allocation)
    return again.nodes, list(again.removed), rows, counters, again.of(Configs).rows


def kinds(applied):
    return [event.kind for event in applied.events]


def texts(applied):
    return [event.text for event in applied.events]
