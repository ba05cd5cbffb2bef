"""A node's assignments, which a voter sends in chunks, because a frame has a limit and these have none.

They go whole whenever they may have changed, for which any node's change of state is enough. Environments are most
of them. So a stream carries each spec once, and again only when it is another.
"""

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from orion.model.allocation import Allocation
from orion.model.claims import ClaimedVolume
from orion.model.errors import TooLarge
from orion.model.ids import NODE_ID, AllocationId, JobName, NodeId, RaftId
from orion.model.job import TaskSpec
from orion.model.network import ClusterNetwork
from orion.model.node import Node
from orion.node.rpc.request import SILENCE_S, NotUnderstood, StreamRequest, decode_reply, encode_reply

# A chunk ends with the allocation or the spec that makes it longer than this; a spec came in a request of 1 MiB.
PIECE_BYTES = 1024 * 1024
MAX_WORK_BYTES = 512 * 1024 * 1024  # what a node takes on, as encoded

Key = tuple[JobName, int]  # of a spec: the job and its version


class WatchAssignments(StreamRequest[bytes], frozen=True, tag=10):
    """The work of a node, whole, again whenever it changes."""

    silence_s: ClassVar = SILENCE_S
    resumable: ClassVar = True

    node: NodeId
    raft_id: RaftId

    def fault(self) -> str:
        return "" if NODE_ID.fullmatch(self.node) else "not a node's name"


class Assignment(msgspec.Struct, frozen=True, array_like=True):
    """An allocation that its node must act on, with what to run."""

    allocation: Allocation
    spec: TaskSpec


class AssignmentSet(msgspec.Struct, frozen=True, array_like=True):
    """All that state says to one node's agent, as of `index`.

    `registered`: state knows this node under this data directory, and as `node`. `neighbours`: other nodes on the
    same container engine that are not down, whose containers there are theirs. `kept`: allocations that are over,
    whose containers are kept for their logs. `level`: the cluster's (model/levels.py). `drains`: allocations that
    are not wanted any more while their job goes on, or may be ended by a failed check: others of it take over.
    `network`: the cluster's own, None where there is none. `claims`: of volumes of storage systems. `may_return`:
    what was lost with this node, which is down, and may go on once it is ready.
    """

    index: int
    cluster: int
    registered: bool
    assigned: tuple[Assignment, ...]
    neighbours: tuple[NodeId, ...]
    node: Node | None = None
    kept: tuple[AllocationId, ...] = ()
    level: int = 1
    drains: tuple[AllocationId, ...] = ()
    network: ClusterNetwork | None = None
    claims: tuple[ClaimedVolume, ...] = ()
    may_return: tuple[AllocationId, ...] = ()


class Spec(msgspec.Struct, frozen=True, array_like=True):
    job: JobName
    version: int
    body: bytes


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """`specs`: those of `allocations` that this stream has not carried yet. `rest`: in the last chunk of a set all
    of it but what is assigned.
    """

    allocations: tuple[Allocation, ...]
    specs: tuple[Spec, ...]
    rest: AssignmentSet | None


class AssignmentSender:
    """A voter's side of one stream."""

    def __init__(self) -> None:
        self._sent: dict[Key, TaskSpec] = {}  # the specs of the set before

    def chunks(self, work: AssignmentSet) -> Iterator[bytes]:
        sent, self._sent = self._sent, {}
        allocations, specs, size = list[msgspec.Raw](), list[Spec](), 0
        for assigned in work.assigned:
            allocation, spec = assigned.allocation, assigned.spec
            encoded = encode_reply(allocation)
            allocations.append(msgspec.Raw(encoded))
            size += len(encoded)
            key = allocation.job, allocation.job_version
            # Its identity: a job that was forgotten and made anew has the same key.
            if self._sent.get(key) is not spec:
                self._sent[key] = spec
                if sent.get(key) is not spec:
                    specs.append(Spec(*key, encode_reply(spec)))
                    size += len(specs[-1].body)
            if size >= PIECE_BYTES:
                yield encode_reply((allocations, specs, None))
                allocations, specs, size = [], [], 0
        yield encode_reply((allocations, specs, msgspec.structs.replace(work, assigned=())))


class _Held(msgspec.Struct, frozen=True):
    spec: TaskSpec
    size_bytes: int


class AssignmentReceiver:
    """The node's side of it. `source`: whom it comes from."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._specs: dict[Key, _Held] = {}
        self._held_bytes = 0  # of the specs of the set before
        self._allocations: list[Allocation] = []
        self._came_bytes = 0  # of the set that is coming

    def take(self, item: bytes) -> AssignmentSet | None:
        """The set that it completes. Raises NotUnderstood; TooLarge when it is more than this node takes on."""
        self._came_bytes += len(item)
        if self._held_bytes + self._came_bytes > MAX_WORK_BYTES:
            raise TooLarge(
                f"the work of this node is more than {MAX_WORK_BYTES:,} bytes of allocations and their specs"
            )
        chunk = decode_reply(item, Chunk, self._source)
        for spec in chunk.specs:
            body = decode_reply(spec.body, TaskSpec, self._source)
            self._specs[spec.job, spec.version] = _Held(body, len(spec.body))
        self._allocations += chunk.allocations
        return None if chunk.rest is None else self._whole(chunk.rest)

    def _whole(self, rest: AssignmentSet) -> AssignmentSet:
        specs: dict[Key, _Held] = {}
        assigned = []
        for allocation in self._allocations:
            key = allocation.job, allocation.job_version
            held = self._specs.get(key)
            if held is None:
                raise NotUnderstood(f"{self._source} did not say how allocation {allocation.id:08x} is to run")
            specs[key] = held
            assigned.append(Assignment(allocation, held.spec))
        self._specs = specs  # as the sender: the next set needs no others
        self._held_bytes = sum(held.size_bytes for held in specs.values())
        self._allocations, self._came_bytes = [], 0
        return msgspec.structs.replace(rest, assigned=tuple(assigned))
