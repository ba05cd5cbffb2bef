"""Replicated commands: imperative, versioned by their tag, each the whole of one change.

Arrays on the wire, so fields are only ever added at the end, with a default.
"""

import msgspec

from orion.model.allocation import AllocationStatus
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.job import Job
from orion.model.node import NodeStatus
from orion.model.resources import Resources
from orion.state.core.encoding import LeveledEncoder


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """`at_ms`: wall clock of the node that proposed it; shown to people, never compared."""

    at_ms: int


class InitCluster(Command, frozen=True, array_like=True, tag=1):
    """The first command of a cluster; later ones are ignored. `cluster` is 64 random bits."""

    cluster: int


class RegisterNode(Command, frozen=True, array_like=True, tag=2):
    """A node says who it is, at every start and when its facts change. Makes it ready again when it was down
    or left. Refused (Conflict) when another live data directory owns the id, or when this one was removed.

    `replaces`: the proposing leader has seen by gossip that the id's former data directory is gone. `engine` and
    `engine_run` are an EngineInfo's id and run. `level`: the highest that its build understands (model/levels.py).
    """

    node: NodeId
    raft_id: RaftId
    peer_address: str
    api_address: str
    capacity: Resources
    labels: tuple[tuple[str, str], ...]
    engine: str
    version: str
    engine_down: str = ""
    replaces: bool = False
    engine_run: str = ""
    gossip_port: int = 0
    level: int = 1


class SetNodeStatus(Command, frozen=True, array_like=True, tag=3):
    """The leader's verdict, or a node's own word that it stops on purpose (status left, `grace_ms`).

    Down: its allocations are lost in the same step. `raft` must be the registered one, else nothing happens:
    a verdict about an older run of the node is void.
    """

    node: NodeId
    raft_id: RaftId
    status: NodeStatus
    reason: str = ""
    grace_ms: int = 0


class DrainNode(Command, frozen=True, array_like=True, tag=4):
    """`draining` false makes it ready for work again. Carried out once, as CreateJob; without an `idempotency_key`
    (as logs of before have it) every time that it comes.
    """

    node: NodeId
    draining: bool
    idempotency_key: str = ""
    since: int = 0


class RemoveNode(Command, frozen=True, array_like=True, tag=5):
    """Forget a node for good. Refused while it is ready and not drained of its work, and (Conflict) when another
    data directory than `raft` has its name by now; 0 is whichever. Carried out once, as DrainNode.
    """

    node: NodeId
    raft_id: RaftId = RaftId(0)
    idempotency_key: str = ""
    since: int = 0


class CreateJob(Command, frozen=True, array_like=True, tag=6):
    """Refused (Conflict) when the name is taken. The name of a job that is removed, or has ended by itself, is
    free; the new one waits until the last allocation of the former one has ended.

    As all commands of clients it is answered once (state/idempotency.py): under the same `idempotency_key` (never
    empty) the answer, a refusal too, is as before. `since` is an index that was applied somewhere before the first
    copy was made, so that one which comes later than answers are remembered is known as such.
    """

    job: Job
    idempotency_key: str
    since: int


class RemoveJob(Command, frozen=True, array_like=True, tag=7):
    """Stop all of it and forget it when the last allocation has ended. NotFound when there is none, or only one
    that was created after `since`, or at another index than `created_index`; 0 is whichever.
    """

    job: JobName
    idempotency_key: str
    since: int
    created_index: int = 0


class UpdateAllocations(Command, frozen=True, array_like=True, tag=8):
    """What one node saw of its allocations; illegal transitions are ignored one by one."""

    node: NodeId
    updates: tuple[tuple[AllocationId, AllocationStatus], ...]


class Placements(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Many tasks of one job, as columns: task `indexes[i]` goes to the node numbered `nodes[i]`.

    `ports` is empty when the job asks for none, else one tuple of host ports a task, in the order of the
    spec's ports. `created_index` is the job's, not that of another one of its name.
    """

    job: JobName
    created_index: int
    job_version: int
    indexes: list[int]
    nodes: list[int]
    ports: list[tuple[int, ...]] = []


class Refusal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why the rest of a job did not fit, "" to clear."""

    job: JobName
    created_index: int  # as in Placements
    text: str


class ApplyPlan(Command, frozen=True, array_like=True, tag=9):
    """The scheduler's decision. Each placement is checked again (the same job, version current, node schedulable,
    resources and ports free, slot still empty); one that no longer holds is dropped and its slot stays open.

    `stops`: allocations no longer wanted. `moves`: those that their nodes can't start, no longer wanted unless they
    have started since.
    """

    placements: tuple[Placements, ...]
    stops: tuple[AllocationId, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    moves: tuple[AllocationId, ...] = ()


class PutConfig(Command, frozen=True, array_like=True, tag=10):
    """Refused (Conflict) unless the key is at `if_version`: None is any, 0 that it does not exist."""

    key: str
    value: bytes
    if_version: int | None
    idempotency_key: str
    since: int


class DeleteConfig(Command, frozen=True, array_like=True, tag=11):
    """As PutConfig; NotFound when there is no such key."""

    key: str
    if_version: int | None
    idempotency_key: str
    since: int


class StopJob(Command, frozen=True, array_like=True, tag=12):
    """Keep it at zero: nothing of it is wanted until it is started. NotFound as RemoveJob; Conflict when it is
    removed.
    """

    job: JobName
    idempotency_key: str
    since: int


class StartJob(Command, frozen=True, array_like=True, tag=13):
    """Undo StopJob, once what is stopped has ended. Of a job that is not stopped, run again what has ended. Refused
    as StopJob.
    """

    job: JobName
    idempotency_key: str
    since: int


class LabelNode(Command, frozen=True, array_like=True, tag=14):
    """Each of `labels` is set, or with None taken away, whatever the node says of itself; the others stay. Carried
    out once. NotFound; Refused when there are too many, and for what can be no label or is the node's own to say.
    """

    node: NodeId
    labels: tuple[tuple[str, str | None], ...]
    idempotency_key: str
    since: int


AnyCommand = (
    InitCluster
    | RegisterNode
    | SetNodeStatus
    | DrainNode
    | RemoveNode
    | CreateJob
    | RemoveJob
    | UpdateAllocations
    | ApplyPlan
    | PutConfig
    | DeleteConfig
    | StopJob
    | StartJob
    | LabelNode
)

_encoder = LeveledEncoder()
_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)


def encode_command(command: AnyCommand) -> bytes:
    """At the least level at which nothing of it is lost."""
    return _encoder.encode_least(command)


def decode_command(data: bytes) -> AnyCommand:
    """Raises msgspec.DecodeError or ValidationError for anything that is not a command."""
    return _decoder.decode(data)
