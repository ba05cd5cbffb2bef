"""Gossip: who is there."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from orion.model.ids import NodeId


class MemberState(msgspec.Struct, frozen=True):
    """One member as gossip sees it. `facts` travel in the gossip metadata (512 bytes at most)."""

    node: NodeId
    state: str  # alive, suspect, dead, left
    gossip_address: str
    epoch: int  # which run of the process
    facts: dict[str, str]


class MemberEvent(msgspec.Struct, frozen=True):
    """`kind`: joined, suspect, recovered, dead, left, updated, conflict, or lost (events were dropped: look
    at `members()` again). `member` is None for lost.
    """

    kind: str
    member: MemberState | None
    other_address: str = ""  # conflict: who else claims the name


class Membership(Protocol):
    async def start(self, facts: dict[str, str]) -> None: ...

    async def join(self) -> int:
        """How many seeds answered; 0 when none did (the adapter goes on trying by itself)."""

    def members(self) -> list[MemberState]:
        """This node included; dead and left ones as long as they are remembered."""

    def events(self) -> AsyncIterator[MemberEvent]: ...

    async def set_facts(self, facts: dict[str, str]) -> None:
        """After `leave`, nothing happens."""

    async def leave(self) -> None: ...

    async def close(self) -> None: ...
