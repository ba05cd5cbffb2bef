"""The Membership port: gossip about which nodes are there."""

import enum
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from orion.model.ids import NodeId
from orion.model.membership import MemberState


class Member(msgspec.Struct, frozen=True):
    """One member as gossip sees it. Gossip carries at most 512 bytes of `metadata`."""

    node: NodeId
    state: MemberState
    gossip_address: str
    epoch: int  # grows with each run of the process
    metadata: dict[str, str]


class MemberEventKind(enum.StrEnum):
    JOINED = "joined"
    SUSPECT = "suspect"
    RECOVERED = "recovered"
    DEAD = "dead"
    LEFT = "left"
    UPDATED = "updated"
    CONFLICT = "conflict"  # another node claims the member's name
    LOST = "lost"  # events were dropped: `members()` has the present state


class MemberEvent(msgspec.Struct, frozen=True):
    """A change of one member. `member` is None for LOST alone."""

    kind: MemberEventKind
    member: Member | None
    other_address: str = ""  # with CONFLICT: where the other node is


class Membership(Protocol):
    async def start(self, metadata: dict[str, str]) -> None: ...

    async def join(self) -> int:
        """Returns how many others answered, or had found this node before it asked. With 0 this node is alone, and
        the adapter goes on trying by itself.
        """

    def members(self) -> list[Member]:
        """Returns all members with this node, and dead and left ones for as long as gossip remembers them."""

    def events(self) -> AsyncIterator[MemberEvent]: ...

    async def set_metadata(self, metadata: dict[str, str]) -> None:
        """Changes this node's metadata. After `leave` nothing happens."""

    async def leave(self) -> None: ...

    async def close(self) -> None: ...
