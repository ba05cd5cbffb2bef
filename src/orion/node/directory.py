"""Who is where: Raft ids and node ids to addresses, from gossip's facts first (they are fresher) and from the
replicated nodes where gossip knows nothing yet.

A node's facts in gossip, short keys because all must fit in 512 bytes:
`r` raft id, `p` peer address, `a` API address, `v` version, `o` role, `t` term (leader only), `c` cluster,
`u` live use as cpu_millis/memory_bytes, `g` recovery, where there was one.
"""

from collections.abc import Callable

import msgspec

from orion.model.ids import NodeId, RaftId, raft_text
from orion.model.recovery import belong_together, is_newer
from orion.ports import MemberState, Usage
from orion.state.view import View


class Facts(msgspec.Struct, frozen=True):
    raft: RaftId
    peer_address: str
    api_address: str
    version: str
    role: str  # leader, voter, learner, worker
    term: int
    cluster: int
    usage: Usage | None = None
    recovery: int = 0

    def encode(self) -> dict[str, str]:
        facts = {
            "r": raft_text(self.raft),
            "p": self.peer_address,
            "a": self.api_address,
            "v": self.version,
            "o": self.role,
            "c": f"{self.cluster:x}",
        }
        if self.term:
            facts["t"] = str(self.term)
        if self.recovery:
            facts["g"] = f"{self.recovery:x}"
        if self.usage is not None:
            facts["u"] = f"{round(self.usage.cpu_cores * 1000)}/{self.usage.memory_bytes}"
        return facts


def parse_facts(facts: dict[str, str]) -> Facts | None:
    """None when they are not Orion's (another program on the gossip port, a damaged value)."""
    try:
        cpu_millis, _, memory_bytes = facts.get("u", "").partition("/")
        return Facts(
            raft=RaftId(int(facts["r"], 16)),
            peer_address=facts["p"],
            api_address=facts["a"],
            version=facts["v"],
            role=facts["o"],
            term=int(facts.get("t", "0")),
            cluster=int(facts["c"], 16),
            usage=Usage(int(cpu_millis) / 1000, int(memory_bytes)) if memory_bytes else None,
            recovery=int(facts.get("g", "0"), 16),
        )
    except (KeyError, ValueError):
        return None


class Seen(msgspec.Struct, frozen=True):
    """A member with its facts understood."""

    member: MemberState
    facts: Facts


class Directory:
    """`view` is asked anew each time: a snapshot may have replaced the state.

    Members of another cluster than `cluster`, or of this one before or after another `recovery`, are not in it; of
    a newer one `on_newer_recovery` is told, of the others `on_stranger`.
    """

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self.version = 0  # how often it was updated
        self.cluster = 0
        self.recovery = 0
        self.on_newer_recovery: Callable[[NodeId, int], None] = lambda _node, _recovery: None
        self.on_stranger: Callable[[Seen], None] = lambda _seen: None
        self._by_node: dict[NodeId, Seen] = {}
        self._by_raft: dict[RaftId, Seen] = {}

    def update(self, members: list[MemberState]) -> None:
        self.version += 1
        seen = [s for m in members if (f := parse_facts(m.facts)) and self._belongs(s := Seen(m, f))]
        self._by_node = {s.member.node: s for s in seen}
        self._by_raft = {s.facts.raft: s for s in seen}

    def _belongs(self, seen: Seen) -> bool:
        facts = seen.facts
        if belong_together(self.cluster, self.recovery, facts.cluster, facts.recovery):
            return True
        if facts.cluster == self.cluster and is_newer(facts.recovery, self.recovery):
            self.on_newer_recovery(seen.member.node, facts.recovery)
        else:
            self.on_stranger(seen)
        return False

    def seen(self, node: NodeId) -> Seen | None:
        return self._by_node.get(node)

    def seen_raft(self, raft: RaftId) -> Seen | None:
        return self._by_raft.get(raft)

    def all_seen(self) -> list[Seen]:
        return list(self._by_node.values())

    def address_of_raft(self, raft: RaftId) -> str | None:
        if seen := self._by_raft.get(raft):
            return seen.facts.peer_address
        return next((n.peer_address for n in self._view().nodes() if n.raft == raft), None)

    def address_of_node(self, node: NodeId) -> str | None:
        if seen := self._by_node.get(node):
            return seen.facts.peer_address
        known = self._view().node(node)
        return known.peer_address if known else None

    def node_of_raft(self, raft: RaftId) -> NodeId | None:
        known = next((n.id for n in self._view().nodes() if n.raft == raft), None)
        if known is None and (seen := self._by_raft.get(raft)):
            return seen.member.node
        return known

    def raft_at(self, peer_address: str) -> RaftId | None:
        """Whose peer address it is."""
        return next((s.facts.raft for s in self._by_node.values() if s.facts.peer_address == peer_address), None)

    def voters(self) -> list[Seen]:
        """Members to ask when this node holds no state, the newest leader first."""
        ranked = [
            s
            for s in self._by_node.values()
            if s.facts.role in ("leader", "voter") and s.member.state in ("alive", "suspect")
        ]
        return sorted(ranked, key=lambda s: (-s.facts.term, s.member.state, s.member.node))
