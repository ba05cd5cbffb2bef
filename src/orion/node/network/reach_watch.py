"""The small check that each node makes by itself: a look at one peer now and then, and again at those that did not
answer. What comes of it is told once, as an event, and is `why` until it is over.
"""

import asyncio
import logging
import random

from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.model.reach import Cause
from orion.node.membership.directory import Directory
from orion.node.network.reachability import Reachability, Target
from orion.node.routing.submit import Submitter
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.clock import Clock
from orion.state.tables.reach import MAX_PEERS, TellReach

log = logging.getLogger(__name__)

EVERY_S = 15.0
AGAIN_S = 5.0  # while one is suspected
SUSPECTED_TIMES = 3  # in a row, then it is looked into
MAX_SUSPECTS = 8
SUBMIT_S = 5.0
# A node that is about to start or to stop, or a packet that is lost now and then.
_NOT_TOLD = frozenset({Cause.NOT_SERVED, Cause.LOSS})


class ReachWatch:
    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        reachability: Reachability,
        directory: Directory,
        submitter: Submitter,
        rng: random.Random,
    ) -> None:
        self._me = me
        self._clock = clock
        self._reachability = reachability
        self._directory = directory
        self._submitter = submitter
        self._rng = rng
        self._turns: list[NodeId] = []
        self._suspects: dict[NodeId, int] = {}  # node -> looks without an answer, in a row
        self._lost: dict[NodeId, str] = {}  # node -> why, as it was told

    @property
    def why(self) -> str:
        """In words, which peers are not reached; "" where all are."""
        if not self._lost:
            return ""
        node, words = next(iter(self._lost.items()))
        more = f" (and {len(self._lost) - 1} more)" if len(self._lost) > 1 else ""
        return f"does not reach {node}{more}: {words}"

    async def run(self) -> None:
        while True:
            # Nothing is drawn where there is no network: elections draw from the same source.
            spread = self._rng.uniform(0.75, 1.25) if self._reachability.targets() else 1.0
            await asyncio.sleep((AGAIN_S if self._suspects else EVERY_S) * spread)
            try:
                await self._round()
            except* OrionError as group:
                log.debug("the network's check: %s", group.exceptions[0])
            except* UNFORESEEN:
                log.exception("a bug in Orion, in the network's check")

    async def _round(self) -> None:
        targets = {each.node: each for each in self._reachability.targets()}
        present = {node for node in targets if not self._directory.is_gone(node)}
        for gone in (self._suspects.keys() | self._lost.keys()) - present:
            self._suspects.pop(gone, None)
            self._lost.pop(gone, None)
        # Of one of which gossip is in doubt nothing is found out, and what was is not forgotten.
        alive = {node for node in present if self._directory.is_alive(node)}
        asked = {*self._suspects, *self._next(sorted(alive)), *self._next_lost()} & alive
        for node in sorted(asked):
            await self._look(targets[node])

    def _next(self, nodes: list[NodeId]) -> list[NodeId]:
        """Returns the node that has its turn: each has one before any has its second."""
        self._turns = [node for node in self._turns if node in nodes] or self._rng.sample(nodes, len(nodes))
        return [self._turns.pop()] if self._turns else []

    def _next_lost(self) -> list[NodeId]:
        return self._rng.sample(list(self._lost), min(len(self._lost), MAX_SUSPECTS))

    async def _look(self, target: Target) -> None:
        node = target.node
        found = await self._reachability.probe(target)
        if found.verdict is None:
            self._suspects.pop(node, None)
            if self._lost.pop(node, None) is not None:
                await self._tell(TellReach(self._clock.wall_ms(), self._me, (node,), lost=False))
            return
        if node in self._lost or (node not in self._suspects and len(self._suspects) >= MAX_SUSPECTS):
            return
        self._suspects[node] = self._suspects.get(node, 0) + 1
        if self._suspects[node] < SUSPECTED_TIMES:
            return
        del self._suspects[node]
        (looked,) = await self._reachability.look([target])
        why = looked.verdict
        if why is None or why.cause in _NOT_TOLD or len(self._lost) >= MAX_PEERS:
            return
        self._lost[node] = why.words
        log.warning("the cluster's network: %s is not reached: %s", node, why.words)
        await self._tell(TellReach(self._clock.wall_ms(), self._me, (node,), lost=True, reason=why.words))

    async def _tell(self, told: TellReach) -> None:
        """One that can't be told now is in `orion network ls` all the same."""
        try:
            await self._submitter.submit(told, timeout_s=SUBMIT_S)
        except OrionError as error:
            log.info("the cluster was not told of this node's reach: %s", error.detail)
