"""The check of the cluster's own network: each node looks at all others, and the one that is asked puts together
what they find.

200 nodes are 39,800 ways. NODES_AT_ONCE of them look at the same time, each at reachability.AT_ONCE others; one
that has not answered after NODE_S is a line of the answer.
"""

import asyncio
from typing import ClassVar

import msgspec

from orion.model.api.network import NetworkCheckView, NodeCheckView, WayView
from orion.model.errors import NotFound
from orion.model.ids import NODE_ID, NodeId
from orion.model.reach import MAX_WORDS_CHARS, Reach
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.network.reachability import Reachability
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.network import AskNetwork, NetworkRow
from orion.node.services.one_node import answer_or_why
from orion.node.views import render
from orion.ports.peers import Principal

NODE_S = 30.0
NODES_AT_ONCE = 16
MAX_FAILURES = 2_000  # that are shown; more are counted
SHARE = 0.9  # of the time that is left: the rest is for the answer
MAX_PEERS = 4_096


class Reaches(msgspec.Struct, frozen=True, array_like=True):
    rows: tuple[Reach, ...]


class AskReach(CallRequest[Reaches], frozen=True, tag=50):
    """The node looks whether it reaches `peer`, or all others where that is ""."""

    at: ClassVar = Place.NODE

    peer: NodeId = NodeId("")

    def fault(self) -> str:
        return "" if not self.peer or NODE_ID.fullmatch(self.peer) else "no name of a node"


class NetworkChecks:
    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        reachability: Reachability,
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._reachability = reachability
        self._alone = asyncio.Lock()  # checks of this node, by whoever asks
        registry.answer_call(AskReach, self._answer_reach)

    async def get(self, node: str, *, timeout_s: float) -> NetworkCheckView:
        """As service.Service has it."""
        until_s = asyncio.get_running_loop().time() + timeout_s * SHARE
        known = await self._forward.ask(AskNetwork())
        if node and all(row.node != node for row in known.rows):
            raise NotFound(f"there is no node {node}")
        taking_part = [row for row in known.rows if row.subnet and known.range]
        turn = asyncio.Semaphore(NODES_AT_ONCE)

        async def one(row: NetworkRow) -> Reaches | str:
            if gone := self._why_gone(row.node):
                return gone
            async with turn:
                left_s = until_s - asyncio.get_running_loop().time()
                if left_s <= 0:
                    return "it was not asked: the time was up before its turn"
                peer = NodeId(node) if node and row.node != node else NodeId("")
                return await answer_or_why(self._forward, row.node, AskReach(peer), min(NODE_S, left_s))

        answers = await asyncio.gather(*map(one, taking_part))
        return _view(known.range, [(row.node, found) for row, found in zip(taking_part, answers, strict=True)])

    def _why_gone(self, node: NodeId) -> str:
        if node == self._me:
            return ""
        led = bool(self._driver.standing.leader)
        return render.why_gone(self._driver.view.node(node), self._directory.seen(node), led=led)

    async def _answer_reach(self, request: AskReach, _: Principal) -> Reaches:
        async with self._alone:
            targets = [each for each in self._reachability.targets() if request.peer in ("", each.node)]
            asked = [each for each in targets if self._directory.is_alive(each.node)]
            return Reaches(tuple(await self._reachability.look(asked)))


# --- what is shown -----------------------------------------------------------------------------------------


def _view(addresses: str, found: list[tuple[NodeId, Reaches | str]]) -> NetworkCheckView:
    nodes, failures, times = list[NodeCheckView](), list[WayView](), list[tuple[int, NodeId, NodeId]]()
    pairs = failed = 0
    for node, answer in found:
        if isinstance(answer, str):
            nodes.append(NodeCheckView(node, 0, 0, reason=answer[:MAX_WORDS_CHARS]))
            continue
        rows = answer.rows[:MAX_PEERS]
        lost = [row for row in rows if row.verdict is not None]
        pairs, failed = pairs + len(rows), failed + len(lost)
        nodes.append(NodeCheckView(node, len(rows), len(rows) - len(lost)))
        failures += [_way(node, row) for row in lost[: MAX_FAILURES - len(failures)]]
        times += [(row.small_us, node, row.peer) for row in rows if row.small_us > 0]
    times.sort()
    worst = times[-1] if times else None
    return NetworkCheckView(
        range=addresses,
        nodes=nodes,
        failures=failures,
        pairs=pairs,
        failed=failed,
        median_us=times[len(times) // 2][0] if times else 0,
        worst_us=worst[0] if worst else 0,
        worst=[worst[1], worst[2]] if worst else [],
    )


def _way(node: NodeId, row: Reach) -> WayView:
    assert row.verdict is not None
    verdict = row.verdict
    words = "".join(each for each in verdict.words[:MAX_WORDS_CHARS] if each.isprintable())
    return WayView(node, row.peer, verdict.cause.value, verdict.sender, verdict.receiver, words)
