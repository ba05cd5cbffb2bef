"""The second proof of death: what the hosts of those whom gossip suspects say of a connection."""

import asyncio
from collections.abc import Awaitable, Callable

from orion.model.ids import NodeId, RaftId
from orion.node.directory import Directory, Facts, Seen
from orion.ports import Knock, Peers

AGAIN_S = 0.1
KNOCKS = 6  # a network that is gone for half a second is no death


class Suspects:
    """Knocks at each suspect's peer port, again and again while it is one. Calls `changed` at every new answer."""

    def __init__(
        self,
        *,
        me: NodeId,
        peers: Peers,
        directory: Directory,
        gossip_changed: Callable[[], Awaitable[None]],
        hears_others: Callable[[RaftId], bool],
        changed: Callable[[], None],
    ) -> None:
        """`hears_others`: whether this node hears enough members, and one besides that one, to know that a silence
        is not its own.
        """
        self._me = me
        self._peers = peers
        self._directory = directory
        self._gossip_changed = gossip_changed
        self._hears_others = hears_others
        self._changed = changed
        self._asked: set[NodeId] = set()
        self._answers: dict[NodeId, Knock] = {}
        self.version = 0  # how often an answer changed

    def answer(self, node: NodeId) -> Knock | None:
        """None while it is no suspect, or has not been asked to the end."""
        return self._answers.get(node)

    async def run(self) -> None:
        self._answers.clear()
        self._asked.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                for seen in self._directory.all_seen():
                    if (node := seen.member.node) not in self._asked and self._suspect(node):
                        group.create_task(self._ask(node), name=f"suspect-{node}")
                        self._asked.add(node)
                await self._gossip_changed()

    async def _ask(self, node: NodeId) -> None:
        try:
            while seen := self._suspect(node):
                answer = await self._knock(seen.facts)
                if self._suspect(node):
                    self._note(node, answer)
                await asyncio.sleep(AGAIN_S)
        finally:
            self._asked.discard(node)
            self._note(node, None)

    async def _knock(self, facts: Facts) -> Knock:
        """Silence is told only when, after it, others were heard, and then this one still was not: else it may have
        been this node that was cut off, and its verdict would be committed once that is over.
        """
        answer = await self._peers.knock(facts.peer_address, tries=KNOCKS)
        if answer is not Knock.SILENT:
            return answer
        if not self._hears_others(facts.raft):
            return Knock.UNCLEAR
        return await self._peers.knock(facts.peer_address, tries=1)

    def _suspect(self, node: NodeId) -> Seen | None:
        seen = self._directory.seen(node)
        return seen if seen is not None and seen.member.state == "suspect" and node != self._me else None

    def _note(self, node: NodeId, answer: Knock | None) -> None:
        if answer is self._answers.get(node):
            return
        if answer is None:
            del self._answers[node]
        else:
            self._answers[node] = answer
        self.version += 1
        self._changed()
