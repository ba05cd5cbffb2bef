"""A duty: volumes of storage systems to the nodes whose tasks need them, and back. Each act is one that
`reconcile/claims.py` decides, for as long as a claim is as it was then.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from orion.model.claims import MAX_WHY, Claim, ClaimPhase, access_of, counts_readers, stop_after_ms
from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.model.node import NodeStatus
from orion.model.volumes import Volume
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.controllers import Controllers
from orion.node.leader.proposer import Proposer
from orion.node.leader.until import changed_or_due
from orion.node.leader.volume_turns import VolumeTurns
from orion.node.routing.forward import Forward
from orion.node.routing.plugin_calls import AskClear, PublishVolume, UnpublishVolume
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.clock import Clock
from orion.reconcile.claims import Act, ActKind, Key, Need, Outlook, decide
from orion.reconcile.deployment_look import NEVER_MS
from orion.reconcile.rests import Rests
from orion.state.tables.claims import BeginClaim, Claims, MoveClaim, NoteClaim
from orion.state.tables.volumes import Users, Volumes

log = logging.getLogger(__name__)

GATHER_S = 0.01
QUIET = 10  # times as long as a look took
CALL_S = 130.0  # longer than a plugin has for a call
CLEAR_S = 8.0  # longer than a node waits before it answers
FIRST_AGAIN_MS = 200
LONGEST_AGAIN_MS = 30_000
CALLS_AT_ONCE = 32

_DECISIONS = frozenset({ActKind.BEGIN, ActKind.MOVE})
# By the phase of a claim: the call, and the phase after it.
_CALLS: dict[ClaimPhase, tuple[type[PublishVolume | UnpublishVolume], ClaimPhase | None]] = {
    ClaimPhase.PUBLISHING: (PublishVolume, ClaimPhase.PUBLISHED),
    ClaimPhase.UNPUBLISHING: (UnpublishVolume, None),
}


class ClaimsDuty:
    """Calls run beside each other, one for a claim. How long a node has been down counts from when this leader saw
    it, by its own clock.
    """

    name = "claims"

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        proposer: Proposer,
        forward: Forward,
        turns: VolumeTurns,
        controllers: Controllers,
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer
        self._forward = forward
        self._volume_turns = turns
        self._controllers = controllers
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._down_since_ms: dict[NodeId, int] = {}
        self._rests = Rests[Key](FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
        self._needs: dict[Key, Need] = {}
        self._calling: set[str] = set()  # volumes, whose controller is asked
        self._asking: set[Key] = set()  # whose nodes are
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    async def run(self, _term: int, /) -> None:
        self._begin_anew()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._look(group)
        finally:
            for each in self._calling:  # calls that were cancelled before they began
                self._volume_turns.end(each)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Begins what is due, and returns when something else may be."""
        due_ms, decided, began_ms, seen = NEVER_MS, False, self._clock.now_ms(), self._driver.watch.moves
        acts = self._acts()
        # With very many jobs a look takes a while: it has a small part of the time.
        gather_s = max(GATHER_S, (self._clock.now_ms() - began_ms) / 1000 * QUIET)
        for act in acts:
            if act.kind is ActKind.WAIT:
                due_ms = min(due_ms, act.at_ms) if act.at_ms >= 0 else due_ms
            elif not await self._carry_out(act, group):
                due_ms = min(due_ms, self._clock.now_ms() + FIRST_AGAIN_MS)
            else:
                decided |= act.kind in _DECISIONS
        if not decided:  # else the state has changed meanwhile, unseen
            await changed_or_due(self._driver, self._clock, due_ms, gather_s, seen)

    def _acts(self) -> list[Act]:
        view, claims = self._driver.view, self._driver.view.of(Claims).rows.values()
        volumes = view.of(Volumes).of_systems()
        if not volumes and not claims:
            return []
        self._note_deaths()
        self._needs = self._needed(volumes)
        self._rests.keep({claim.key for claim in claims} | self._needs.keys())
        acts = decide(
            claims,
            self._needs,
            outlook=self._outlook,
            rests_until_ms=self._rests.until_ms,
            now_ms=self._clock.now_ms(),
        )
        return [act for act in acts if act.kind is ActKind.WAIT or not self._is_busy(act)]

    def _is_busy(self, act: Act) -> bool:
        return act.volume in self._calling or (act.volume, act.node) in self._asking

    # --- what is needed -----------------------------------------------------------------------------------

    def _needed(self, volumes: Iterable[Volume]) -> dict[Key, Need]:
        view = self._driver.view
        ready = {each.name: each for each in volumes if each.data and each.system and not each.system.removing}
        if not ready:
            return {}
        users = Users(record for name in view.job_names() if (record := view.job_record(name)) is not None)
        found: dict[Key, Need] = {}
        for name, volume in ready.items():
            for job in users.of(name):
                for each in view.allocations_of_job(job):
                    spec = view.spec(job, each.job_version)
                    if each.terminal or spec is None or name not in spec.volume_names(each.index):
                        continue
                    mode = access_of(volume)
                    need = Need(
                        volume.created_index,
                        mode,
                        counts_readers(mode) and not spec.writes_volume(name, each.index),
                        stop_after_ms(spec, each.index, ready),
                    )
                    key = name, each.node
                    found[key] = _both(found[key], need) if key in found else need
        return found

    def _note_deaths(self) -> None:
        down = {node.id for node in self._driver.view.nodes() if node.status is NodeStatus.DOWN}
        down |= {claim.node for claim in self._driver.view.of(Claims).rows.values() if self._is_gone(claim.node)}
        self._down_since_ms = {node: self._down_since_ms.get(node, self._clock.now_ms()) for node in down}

    def _outlook(self, node: NodeId) -> Outlook:
        return Outlook(self._down_since_ms.get(node), self._is_gone(node))

    def _is_gone(self, node: NodeId) -> bool:
        return self._driver.view.node(node) is None

    # --- acts ---------------------------------------------------------------------------------------------

    async def _carry_out(self, act: Act, group: asyncio.TaskGroup) -> bool:
        """Returns False when it is to be looked at again soon."""
        view, key = self._driver.view, (act.volume, act.node)
        claim = view.of(Claims).get(key)
        if act.kind is ActKind.BEGIN:
            return await self._begin(act)
        if claim is None:  # another leader's, or this one's own last act
            return True
        if act.kind is ActKind.MOVE:
            return await self._move(claim, act.to)
        if act.kind is ActKind.CLEAR:
            self._asking.add(key)
            call = self._guarded(claim, self._clear)
        elif not self._volume_turns.begin(act.volume):  # it is made, grows, or is copied
            return False
        else:
            self._calling.add(act.volume)
            call = self._guarded(claim, self._call)
        group.create_task(call, name=f"claim-{act.kind.value}-{act.volume}")
        return True

    async def _begin(self, act: Act) -> bool:
        view = self._driver.view
        volume, node = view.of(Volumes).get(act.volume), view.node(act.node)
        plugin = node.plugin(volume.driver) if volume is not None and node is not None else None
        need = self._needs[act.volume, act.node]
        if volume is None:
            return True
        if plugin is None or not plugin.node:  # the task says that it waits for that
            self._rest((act.volume, act.node))
            return False
        command = BeginClaim(
            self._clock.wall_ms(),
            act.volume,
            need.created_index,
            act.node,
            need.read_only,
            need.stop_after_ms,
            plugin.known_as,
        )
        if await self._proposer.propose(command) is None:  # refused perhaps: not again at once
            self._rest((act.volume, act.node))
            return False
        return True

    async def _move(self, claim: Claim, to: ClaimPhase | None, context: tuple[tuple[str, str], ...] = ()) -> bool:
        command = MoveClaim(self._clock.wall_ms(), claim.volume, claim.node, claim.as_of, to, context)
        if await self._proposer.propose(command) is None:
            return False
        self._rests.forget(claim.key)
        return True

    async def _guarded(self, claim: Claim, call: Callable[[Claim], Awaitable[None]]) -> None:
        try:
            async with self._calls:
                await call(claim)
        except OrionError as error:
            await self._failed(claim, error.detail)
        except UNFORESEEN as error:
            log.exception("a bug in Orion, with the claim of %s to volume %s", claim.node, claim.volume)
            await self._failed(claim, f"a bug in Orion ({type(error).__name__}: {error})")
        finally:
            if call == self._clear:
                self._asking.discard(claim.key)
            else:
                self._calling.discard(claim.volume)
                self._volume_turns.end(claim.volume)
            self._driver.watch.nudge()

    async def _call(self, claim: Claim) -> None:
        """Has one of the nodes with a controller of the volume's plugin make the call of the claim's phase; another
        one each time that it fails.
        """
        volume = self._driver.view.of(Volumes).get(claim.volume)
        driver = volume.driver if volume is not None else ""
        nodes = self._controllers.of(driver)
        if not nodes:
            await self._failed(
                claim, f"no node has a controller of plugin {driver} that works: 'orion plugin ls' says why"
            )
            return
        kind, to = _CALLS[claim.phase]
        node, _ = nodes[self._rests.times(claim.key) % len(nodes)]
        done = await self._forward.ask_node(node, kind(claim.volume, claim.node, claim.as_of), timeout_s=CALL_S)
        if done.failed:
            await self._failed(claim, done.failed)
        else:
            await self._move(claim, to, done.context)

    async def _clear(self, claim: Claim) -> None:
        ask = AskClear(claim.volume, claim.node, claim.as_of)
        cleared = await self._forward.ask_node(claim.node, ask, timeout_s=CLEAR_S)
        if cleared.clear:
            await self._move(claim, ClaimPhase.UNPUBLISHING)
        elif cleared.why:
            await self._note(claim, cleared.why)

    async def _failed(self, claim: Claim, why: str) -> None:
        self._rest(claim.key)
        await self._note(claim, why)

    def _rest(self, key: Key) -> None:
        self._rests.failed(key, (), self._clock.now_ms())

    async def _note(self, claim: Claim, why: str) -> None:
        now = self._driver.view.of(Claims).get(claim.key)
        if now is not None and now.as_of == claim.as_of and now.why != why[:MAX_WHY]:
            await self._proposer.propose(
                NoteClaim(self._clock.wall_ms(), claim.volume, claim.node, claim.as_of, why[:MAX_WHY])
            )


def _both(one: Need, other: Need) -> Need:
    """Two needs of one node. A task that goes on without the cluster has the claim wait for the node's word."""
    never = not (one.stop_after_ms and other.stop_after_ms)
    return Need(
        one.created_index,
        one.mode,
        one.read_only and other.read_only,
        0 if never else max(one.stop_after_ms, other.stop_after_ms),
    )
