"""The directory of addresses by Raft id and node id. Gossip's metadata comes first, because it is fresher; the
replicated nodes fill in where gossip knows nothing yet.

A node's metadata in gossip has short keys, because all of it must fit in 512 bytes:
`r` raft id, `p` peer address, `a` API address, `v` version, `o` role, `t` term (leader only), `c` cluster,
`u` live use as cpu_millis/memory_bytes, `g` recovery (if there was one).

Any program that reaches the gossip port may send anything. Metadata that can't be read whole counts as none, and
nothing in it raises.
"""

import re
from collections.abc import Callable
from typing import NoReturn

import msgspec

from orion.model.ids import NODE_ID, NodeId, RaftId, raft_text
from orion.model.membership import PRESENT, MemberState, NodeRole
from orion.model.node import address_parts
from orion.model.recovery import belong_together, is_newer
from orion.ports.machine import Usage
from orion.ports.membership import Member
from orion.state.view import View


class NodeMetadata(msgspec.Struct, frozen=True):
    raft_id: RaftId
    peer_address: str
    api_address: str
    version: str
    role: NodeRole
    term: int
    cluster: int
    usage: Usage | None = None
    recovery: int = 0

    def encode(self) -> dict[str, str]:
        metadata = {
            "r": raft_text(self.raft_id),
            "p": self.peer_address,
            "a": self.api_address,
            "v": self.version,
            "o": self.role.value,
            "c": f"{self.cluster:x}",
        }
        if self.term:
            metadata["t"] = str(self.term)
        if self.recovery:
            metadata["g"] = f"{self.recovery:x}"
        if self.usage is not None:
            metadata["u"] = f"{round(self.usage.cpu_cores * 1000)}/{self.usage.memory_bytes}"
        return metadata


_VOTING = frozenset((NodeRole.LEADER, NodeRole.VOTER))
_HEX = r"[0-9a-f]{1,16}"
_DECIMAL = r"[0-9]{1,20}"
_MAX_WORD_CHARS = 280  # a host's name of 253, a port, and some room
_MAX_UINT64 = 2**64 - 1


def parse_metadata(metadata: dict[str, str]) -> NodeMetadata | None:
    """Returns None when the metadata is not Orion's: from another program, damaged or forged. Numbers have at most
    64 bits, texts are short and printable.
    """
    try:
        return NodeMetadata(
            raft_id=RaftId(_hex(metadata["r"]) or _refuse()),
            peer_address=_address(metadata["p"]),
            api_address=_address(metadata["a"]),
            version=_word(metadata["v"]),
            role=NodeRole(metadata["o"]),
            term=_decimal(metadata.get("t", "0")),
            cluster=_hex(metadata["c"]),
            usage=_usage(metadata["u"]) if "u" in metadata else None,
            recovery=_hex(metadata.get("g", "0")),
        )
    except (KeyError, ValueError):
        return None


def _refuse() -> NoReturn:
    raise ValueError("not a value of this metadata")


def _hex(text: str) -> int:
    return int(text, 16) if re.fullmatch(_HEX, text) else _refuse()


def _decimal(text: str) -> int:
    return number if re.fullmatch(_DECIMAL, text) and (number := int(text)) <= _MAX_UINT64 else _refuse()


def _word(text: str) -> str:
    return text if len(text) <= _MAX_WORD_CHARS and text.isprintable() and " " not in text else _refuse()


def _address(text: str) -> str:
    address_parts(text)
    return _word(text)


def _usage(text: str) -> Usage:
    cpu_millis, _, memory_bytes = text.partition("/")
    return Usage(_decimal(cpu_millis) / 1000, _decimal(memory_bytes))


class Seen(msgspec.Struct, frozen=True):
    """A member with its decoded metadata."""

    member: Member
    metadata: NodeMetadata


class Directory:
    """The members of this cluster, and their addresses. `view` is called anew each time, because a snapshot may
    have replaced the state.

    Members of another cluster or another recovery are not in it. `on_newer_recovery` gets those of this cluster
    that claim a newer recovery, `on_stranger` all others.
    """

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self.version = 0  # the number of updates
        self.cluster = 0
        self.recovery = 0
        self.on_newer_recovery: Callable[[Seen], None] = lambda _seen: None
        self.on_stranger: Callable[[Seen], None] = lambda _seen: None
        self._by_node: dict[NodeId, Seen] = {}
        self._by_raft: dict[RaftId, Seen] = {}

    def update(self, members: list[Member]) -> None:
        self.version += 1
        named = [m for m in members if NODE_ID.fullmatch(m.node)]
        seen = [s for m in named if (f := parse_metadata(m.metadata)) and self._belongs(s := Seen(m, f))]
        self._by_node = {s.member.node: s for s in seen}
        self._by_raft = {s.metadata.raft_id: s for s in seen}

    def _belongs(self, seen: Seen) -> bool:
        metadata = seen.metadata
        if belong_together(self.cluster, self.recovery, metadata.cluster, metadata.recovery):
            return True
        if metadata.cluster == self.cluster and is_newer(metadata.recovery, self.recovery):
            self.on_newer_recovery(seen)
        else:
            self.on_stranger(seen)
        return False

    def seen(self, node: NodeId) -> Seen | None:
        return self._by_node.get(node)

    def is_alive(self, node: NodeId) -> bool:
        """Returns what gossip says; of one that it has not seen since this node started, True."""
        seen = self.seen(node)
        return seen is None or seen.member.state is MemberState.ALIVE

    def is_gone(self, node: NodeId) -> bool:
        """Returns whether gossip has given it up; of one that it has not seen since this node started, False."""
        seen = self.seen(node)
        return seen is not None and seen.member.state not in PRESENT

    def seen_raft(self, raft: RaftId) -> Seen | None:
        return self._by_raft.get(raft)

    def all_seen(self) -> list[Seen]:
        return list(self._by_node.values())

    def address_of_raft(self, raft: RaftId) -> str | None:
        if seen := self._by_raft.get(raft):
            return seen.metadata.peer_address
        return next((n.peer_address for n in self._view().nodes() if n.raft_id == raft), None)

    def address_of_node(self, node: NodeId) -> str | None:
        if seen := self._by_node.get(node):
            return seen.metadata.peer_address
        known = self._view().node(node)
        return known.peer_address if known else None

    def node_of_raft(self, raft: RaftId) -> NodeId | None:
        known = next((n.id for n in self._view().nodes() if n.raft_id == raft), None)
        if known is None and (seen := self._by_raft.get(raft)):
            return seen.member.node
        return known

    def raft_at(self, peer_address: str) -> RaftId | None:
        """Returns the Raft id of the member with this peer address."""
        known = (seen.metadata for seen in self._by_node.values())
        return next((each.raft_id for each in known if each.peer_address == peer_address), None)

    def voters(self, *, given_up: bool = False) -> list[Seen]:
        """Returns the leader and voters that a node without state may ask, the newest leader first. With
        `given_up`, those that gossip calls dead come last: gossip may be wrong, and without others they are all
        there is.
        """
        states = PRESENT | {MemberState.DEAD} if given_up else PRESENT
        ranked = [s for s in self._by_node.values() if s.metadata.role in _VOTING and s.member.state in states]
        return sorted(
            ranked,
            key=lambda s: (s.member.state is MemberState.DEAD, -s.metadata.term, s.member.state, s.member.node),
        )
