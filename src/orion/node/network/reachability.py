"""Finds out which nodes this one reaches by the cluster's network, and of those that it does not, why.

A look at a peer takes milliseconds where all is well. Else both ends listen for LISTEN_S while this one goes on
asking; reconcile/reach.py says what that comes to.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import msgspec

from orion.model.errors import OrionError, Unavailable
from orion.model.ids import NODE_ID, NodeId
from orion.model.network import address_text
from orion.model.overlay import Peer
from orion.model.reach import (
    MAX_WORDS_CHARS,
    SMALL_BYTES,
    Cause,
    Echo,
    Evidence,
    Reach,
    Verdict,
    Way,
    Witness,
)
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.network.node_network import NodeNetwork
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports import reach as ports
from orion.ports.peers import Principal
from orion.reconcile.local_network import LocalPart

log = logging.getLogger(__name__)

TRIES, ECHO_S = 3, 0.9
TCP_S = 1.5
LISTEN_S = 1.5
AGAIN_S = 0.1  # between probes while both listen
ASK_S = 3.0
AT_ONCE = 32  # peers that are probed
LOOKED_INTO_AT_ONCE = 4
MAX_LOOKED_INTO = 12  # of one round; the rest of those that do not answer is only counted
MAX_LISTENERS = 16
# Sizes that are tried at the same time, to find the largest that passes; three times, each within the last gap.
LADDER, LADDER_ROUNDS, LADDER_S = 12, 3, 0.3
SERVE_AGAIN_S = 10.0


class AskWitness(CallRequest[Witness], frozen=True, tag=49):
    """The node that is asked looks for LISTEN_S for the packets of another one."""

    at: ClassVar = Place.NODE

    node: NodeId

    def fault(self) -> str:
        return "" if NODE_ID.fullmatch(self.node) else "no name of a node"


class Target(NamedTuple):
    node: NodeId
    peer: Peer


class Reachability:
    """One for a node: whoever looks shares its turns."""

    def __init__(
        self,
        *,
        me: NodeId,
        network: NodeNetwork,
        source: AssignmentWatcher,
        forward: Forward,
        registry: Registry,
    ) -> None:
        self._me = me
        self._network = network
        self._source = source
        self._forward = forward
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._looks = asyncio.Semaphore(LOOKED_INTO_AT_ONCE)
        self._listeners = 0
        self._changed = asyncio.Event()
        network.on_change.append(self._changed.set)
        registry.answer_call(AskWitness, self._answer_witness)

    def targets(self) -> list[Target]:
        """Returns the other nodes of the network, by name; none while this one has no part of it."""
        local, work = self._network.local, self._source.latest
        if local is None or work is None or work.network is None:
            return []
        by_gateway = {peer.gateway: peer for peer in local.peers}
        found = ((each.node, by_gateway.get(address_text(each.subnet))) for each in work.network.peers)
        return sorted(Target(node, peer) for node, peer in found if peer is not None)

    # --- whoever answers ----------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Answers other nodes' probes while there is a network."""
        while True:
            self._changed.clear()
            local = self._network.local
            if local is None:
                await self._changed.wait()
                continue
            addresses = _addresses(local)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._serve(addresses), name="network-check")
                while (now := self._network.local) is not None and _addresses(now) == addresses:
                    await self._changed.wait()
                    self._changed.clear()
                serving.cancel()

    async def _serve(self, addresses: Sequence[str]) -> None:
        told = ""
        while True:
            try:
                await self._reach.serve(addresses, self._gateways)
            except* (OrionError, OSError, *UNFORESEEN) as group:
                if str(error := group.exceptions[0]) != told:
                    told = str(error)
                    log.warning("the cluster's network: other nodes' probes are not answered: %s", told)
            await asyncio.sleep(SERVE_AGAIN_S)

    def _gateways(self) -> frozenset[str]:
        local = self._network.local
        return _gateways(local) if local is not None else frozenset()

    @property
    def _reach(self) -> ports.Reach:
        return self._network.ports.reach

    # --- whoever asks -------------------------------------------------------------------------------------

    async def look(self, targets: Sequence[Target]) -> list[Reach]:
        """Returns what is found of each, in their order. Raises Unavailable while this node has no part."""
        budget = _Budget(MAX_LOOKED_INTO)

        async def one(target: Target) -> Reach:
            async with self._turns:
                found = await self._probe(target)
            if found.verdict is None or not budget.take():
                return found
            async with self._looks:
                return await self._look_into(target, found)

        return list(await asyncio.gather(*map(one, targets)))

    async def probe(self, target: Target) -> Reach:
        """One look, without the reason. Raises Unavailable while this node has no part."""
        async with self._turns:
            return await self._probe(target)

    async def _probe(self, target: Target) -> Reach:
        local, peer = self._local(), target.peer
        small = await self._echo(local, peer.gateway, SMALL_BYTES)
        if not small.us:
            return Reach(target.node, 0, 0, self._unknown(target, refused=small.refused))
        full, tcp, bridge = await asyncio.gather(
            self._echo(local, peer.gateway, local.device.mtu),
            self._reach.transfer(local.device.address, peer.gateway, within_s=TCP_S),
            self._echo(local, _bridge(peer), SMALL_BYTES),
        )
        well = full.us and tcp and bridge.us
        return Reach(target.node, small.us, full.us, None if well else self._unknown(target))

    def _unknown(self, target: Target, *, refused: bool = False) -> Verdict:
        cause = Cause.NOT_SERVED if refused else Cause.UNKNOWN
        return Verdict(cause, self._me, target.node, "no answer, and it was not looked into why")

    async def _echo(self, local: LocalPart, target: str, size_bytes: int) -> Echo:
        return await self._reach.echo(local.device.address, target, size_bytes, tries=TRIES, within_s=ECHO_S)

    async def _look_into(self, target: Target, found: Reach) -> Reach:
        from orion.reconcile.reach import verdict  # late: nobody needs it where all is well

        local, peer = self._local(), target.peer
        way = _way(local, peer)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(self._ask(target.node))
            here = group.create_task(self._see(target))
            sending = group.create_task(self._send(local, way))
            small = group.create_task(self._echo(local, peer.gateway, SMALL_BYTES))
            largest = group.create_task(self._largest(local, peer.gateway))
            tcp = group.create_task(self._reach.transfer(local.device.address, peer.gateway, within_s=TCP_S))
            bridge = group.create_task(self._echo(local, _bridge(peer), SMALL_BYTES))
            there, why_not = await asked
            await here
            sending.cancel()
        now_largest = max(largest.result(), SMALL_BYTES if small.result().us else 0)
        evidence = Evidence(
            node=self._me,
            peer=target.node,
            small=bool(found.small_us),
            full=bool(found.full_us),
            tcp=tcp.result(),
            bridge=bool(bridge.result().us),
            full_bytes=local.device.mtu,
            largest_bytes=now_largest,
            refused=small.result().refused,
            here=here.result(),
            there=there,
            why_not=why_not,
        )
        words = verdict(evidence)
        if words is None:
            words = Verdict(Cause.LOSS, self._me, target.node, "no answer came at first, and then it did")
        return msgspec.structs.replace(found, verdict=words)

    async def _ask(self, node: NodeId) -> tuple[Witness | None, str]:
        try:
            async with asyncio.timeout(ASK_S):
                return _believed(await self._forward.ask_node(node, AskWitness(self._me), timeout_s=ASK_S)), ""
        except TimeoutError:
            return None, f"no answer within {ASK_S:g} s"
        except OrionError as error:
            return None, error.detail

    async def _send(self, local: LocalPart, way: Way) -> None:
        full = local.device.mtu
        while True:
            await self._reach.send(way, (SMALL_BYTES, full), (SMALL_BYTES, full))
            await asyncio.sleep(AGAIN_S)

    async def _largest(self, local: LocalPart, target: str) -> int:
        """Returns the largest size that was answered, 0 where none was."""
        low, high = SMALL_BYTES, local.device.mtu
        best = 0
        for _ in range(LADDER_ROUNDS):
            gap = (high - low) / (LADDER - 1)
            sizes = sorted({round(low + gap * step) for step in range(LADDER)})
            echoes = await asyncio.gather(
                *(
                    self._reach.echo(local.device.address, target, size, tries=2, within_s=LADDER_S)
                    for size in sizes
                )
            )
            passed = [size for size, echo in zip(sizes, echoes, strict=True) if echo.us]
            if not passed:
                return best
            best = max(best, *passed)
            above = [size for size in sizes if size > best]
            if not above or above[0] - best <= 1:
                return best
            low, high = best, above[0]
        return best

    def _local(self) -> LocalPart:
        if (local := self._network.local) is None:
            raise Unavailable(f"{self._me} has no part of the cluster's network: {self._network.why or 'not yet'}")
        return local

    # --- a witness ----------------------------------------------------------------------------------------

    async def _answer_witness(self, request: AskWitness, _: Principal) -> Witness:
        target = next((each for each in self.targets() if each.node == request.node), None)
        if target is None:
            self._local()
            raise Unavailable(f"{self._me} does not know {request.node} as a node of the cluster's network")
        return await self._witness(target)

    async def _see(self, target: Target) -> Witness:
        try:
            return await self._witness(target)
        except OrionError as error:
            return Witness(deaf=error.detail)

    async def _witness(self, target: Target) -> Witness:
        if self._listeners >= MAX_LISTENERS:
            raise Unavailable(f"{self._me} looks into {MAX_LISTENERS} other ways already")
        from orion.reconcile.reach import kernel_faults

        self._listeners += 1
        try:
            local = self._local()
            there = _way(local, target.peer)
            way = Way(there.target, there.source, there.underlay_target, there.underlay_source)
            state = await self._network.ports.kernel.read(local.device.name)
            arrivals, deaf = await self._reach.listen(way, local.device.name, within_s=LISTEN_S)
            strict = await self._reach.strict(local.device.name)
            return Witness(kernel_faults(local, state, target.peer), arrivals, deaf, strict)
        finally:
            self._listeners -= 1


class _Budget:
    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _addresses(local: LocalPart) -> tuple[str, str]:
    return local.device.address, local.engine.gateway


def _gateways(local: LocalPart) -> frozenset[str]:
    return frozenset(peer.gateway for peer in local.peers)


def _bridge(peer: Peer) -> str:
    """The address of the peer's bridge: the one after its own (model/network.py)."""
    head, _, last = peer.gateway.rpartition(".")
    return f"{head}.{int(last) + 1}"


def _way(local: LocalPart, peer: Peer) -> Way:
    return Way(local.device.address, peer.gateway, local.device.local, peer.underlay)


def _believed(found: Witness) -> Witness:
    """Returns another node's word, in bounds."""
    faults = tuple(_line(each) for each in found.faults[:8])
    return msgspec.structs.replace(found, faults=faults, deaf=_line(found.deaf))


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:MAX_WORDS_CHARS])
