"""Keeps one data directory, and one name, from being two nodes at a time.

A copied directory has its original's Raft id: the copy would vote twice, take the original's work and announce its
end. So each peer that says hello is compared with the node known under its Raft id and its name. When that is
another one and still answers, the newcomer is turned away at the peer port, through which everything goes: votes,
registration, work, announcements. It then checks that address itself, and ends. A known node that does not answer
has no claim, because a node may move.
"""

import asyncio
import logging
from collections.abc import Callable

from orion.model.errors import Conflict, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.model.recovery import belong_together
from orion.node.membership.directory import Directory
from orion.ports.peers import Greeted, Peers, PortProbe

log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 1.0  # twice on the way of a registration, which waits 2 s for its answer
MAX_REMEMBERED = 4_096
NAME_PATIENCE_S = 3.0  # gossip may show a former process of this node for this long
NAME_PROBES = 3


class Rivals:
    """Fulfils ports.Gate. `on_rival` gets one sentence that says why this node has to end."""

    def __init__(
        self,
        *,
        me: NodeId,
        raft: RaftId,
        address: str,
        data_dir: str,
        peers: Peers,
        directory: Directory,
        on_rival: Callable[[str], None],
    ) -> None:
        self._me = me
        self._raft = raft
        self._address = address
        self._data_dir = data_dir
        self._peers = peers
        self._directory = directory
        self._on_rival = on_rival
        self._admitted: dict[RaftId, tuple[int, str]] = {}  # run and address, the latest last
        self._told = ""  # the peer address at which a rival is said to answer
        self._was_told = asyncio.Event()
        self._namesake = ""  # the gossip address of another node of this name
        self._name_contested = asyncio.Event()

    # --- at the peer port ---------------------------------------------------------------------------------

    def knows(self, greeted: Greeted) -> bool:
        if self._is_me(greeted):
            return True
        if greeted.raft_id == self._raft or greeted.node == self._me:
            return False
        if self._admitted.get(greeted.raft_id) == (greeted.run, greeted.address):
            return True
        if self._elsewhere(greeted):
            return False
        self._admit(greeted)
        return True

    async def rival(self, greeted: Greeted) -> str:
        if greeted.raft_id == self._raft or greeted.node == self._me:
            return self._address
        for address in self._elsewhere(greeted):
            other = await self._who(address)
            if other is not None and other.run != greeted.run and _are_rivals(greeted, other):
                return address
        self._admit(greeted)
        return ""

    def _is_me(self, greeted: Greeted) -> bool:
        return greeted.raft_id == self._raft and greeted.run == self._peers.run

    def _elsewhere(self, greeted: Greeted) -> list[str]:
        """Returns the addresses at which another node may answer under its Raft id or its name."""
        found: dict[str, None] = {}
        if former := self._admitted.get(greeted.raft_id):
            found[former[1]] = None  # the same address too: two hosts may call it theirs
        known = self._directory.address_of_raft(greeted.raft_id), self._directory.address_of_node(greeted.node)
        found |= dict.fromkeys(address for address in known if address and address != greeted.address)
        return [address for address in found if address and address != self._address]

    def _admit(self, greeted: Greeted) -> None:
        self._admitted.pop(greeted.raft_id, None)
        self._admitted[greeted.raft_id] = greeted.run, greeted.address
        if len(self._admitted) > MAX_REMEMBERED:
            del self._admitted[next(iter(self._admitted))]

    async def _who(self, address: str) -> Greeted | None:
        """Returns the node that answers at `address`; None when there is none of this cluster and recovery."""
        try:
            other = await self._peers.who(address, timeout_s=ASK_TIMEOUT_S)
        except Unavailable:
            return None
        here = self._directory
        return other if belong_together(here.cluster, here.recovery, other.cluster, other.recovery) else None

    # --- for registrations -----------------------------------------------------------------------------------

    async def claimed(self, node: NodeId, raft: RaftId, address: str) -> bool:
        """Returns True when that node, with that data directory, answers at `address`."""
        if address == self._address:
            return (node, raft) == (self._me, self._raft)
        other = await self._who(address)
        return other is not None and (other.node, other.raft_id) == (node, raft)

    # --- of this node itself ----------------------------------------------------------------------------------

    async def check(self, address: str) -> None:
        """Raises Conflict when another process answers at `address` with this node's data directory or its name."""
        if not address or address == self._address:
            return
        other = await self._who(address)
        if other is not None and (why := self._why(other, address)):
            raise Conflict(why)

    def told(self, address: str) -> None:
        """Takes note that another node turned this one away, as a copy of the one that answers at `address`."""
        self._told = address
        self._was_told.set()

    def name_contested(self, gossip_address: str) -> None:
        """Takes note that gossip has met another living node of this name at `gossip_address`."""
        self._namesake = gossip_address
        self._name_contested.set()

    async def run(self) -> None:
        """Checks for itself whenever it is told of a rival."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_where_told(), name="rivals-told")
            group.create_task(self._look_after_name(), name="rivals-name")

    async def _look_where_told(self) -> None:
        while True:
            await self._was_told.wait()
            self._was_told.clear()
            try:
                await self.check(self._told)
            except Conflict as conflict:
                self._on_rival(conflict.detail)

    async def _look_after_name(self) -> None:
        """Calls `on_rival` when another node has this node's name and no other node is met. A node that has met
        others is turned away by them. One that was told to join its own namesake meets nobody: gossip takes the
        namesake for this node, and shows only its address.
        """
        while True:
            await self._name_contested.wait()
            self._name_contested.clear()
            await asyncio.sleep(NAME_PATIENCE_S)
            others = any(seen.member.node != self._me for seen in self._directory.all_seen())
            if self._directory.cluster or others:
                continue
            if await self._peers.probe(self._namesake, tries=NAME_PROBES) is PortProbe.ACCEPTED:
                self._on_rival(self._name_is_taken(f"{self._namesake} (gossip)"))

    def _why(self, other: Greeted, address: str) -> str:
        if other.run == self._peers.run:
            return ""
        if other.raft_id == self._raft:
            return (
                f"{self._me} runs already and answers at {address}, with the same data directory as"
                f" {self._data_dir}: one of the two is a copy, and two nodes can't be one. For another node start"
                " it with an empty data directory, another --id and --join"
            )
        if other.node == self._me:
            return self._name_is_taken(address)
        return ""

    def _name_is_taken(self, where: str) -> str:
        return (
            f"the name {self._me} is taken: a node of that name answers at {where}. Start this one with another"
            " --id (without that flag it is the host's name)"
        )


def _are_rivals(one: Greeted, other: Greeted) -> bool:
    if not belong_together(one.cluster, one.recovery, other.cluster, other.recovery):
        return False
    return one.raft_id == other.raft_id or one.node == other.node
