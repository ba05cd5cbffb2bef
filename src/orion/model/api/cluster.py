"""Consensus, health and what happened, in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class MemberView(msgspec.Struct, frozen=True, rename="camel"):
    """One Raft member, or a worker, as the leader sees it."""

    id: Annotated[str, Meta(description="The node's name.")]
    raft_id: str
    match: Annotated[
        int | None, Meta(description="Its log's last index that is the leader's; null where that can't be asked.")
    ] = None
    state: Annotated[
        str | None, Meta(description="probe, replicate or snapshot; null where the leader can't be asked")
    ] = None
    lag: Annotated[
        int | None, Meta(description="Entries behind the leader's last; null where that can't be asked.")
    ] = None
    status: Annotated[str, Meta(description="As a node's.")] = ""
    since: Annotated[str | None, Meta(description="When it was called dead or left. RFC 3339, UTC.")] = None


class RaftView(msgspec.Struct, frozen=True, rename="camel"):
    """Consensus as one node sees it."""

    cluster: Annotated[str, Meta(description="As in the containers' labels; empty until the cluster has begun.")]
    state: str
    term: int
    leader: str | None
    commit_index: int
    applied_index: int
    voters: list[MemberView]
    learners: list[MemberView]
    first_index: int
    snapshot_index: int
    task_count: int
    workers: Annotated[list[MemberView], Meta(description="Nodes that are no members.")] = []
    next: Annotated[list[str], Meta(description="What the leader will do about who votes, in sentences.")] = []
    level: Annotated[int, Meta(description="Of what is replicated: the most that all nodes understand.")] = 1
    level_outlook: Annotated[
        str, Meta(description="Which nodes keep the level down, in a sentence; empty when none does.")
    ] = ""


class TransferRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /raft/transfer`."""

    to: Annotated[str, Meta(description="The voter that is to lead; empty leaves the choice to the leader.")] = ""


class HealthView(msgspec.Struct, frozen=True, rename="camel"):
    """A node's health."""

    ready: Annotated[bool, Meta(description="It knows a leader and has applied what it knew to be committed.")]
    detail: str


class EventView(msgspec.Struct, frozen=True, rename="camel"):
    """Something that has happened."""

    id: str
    at: Annotated[str, Meta(description="RFC 3339, UTC.")]
    kind: str
    subject: Annotated[str, Meta(description="The node, task, job or volume that it happened to.")]
    text: Annotated[str, Meta(description="A sentence for people.")]
