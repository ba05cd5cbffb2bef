"""A duty: has storage plugins make, grow and delete volumes and snapshots, and writes down what came of it."""

import asyncio
import logging

from orion.model.claims import MAX_WHY
from orion.model.csi import FailureKind
from orion.model.errors import Conflict, NotFound, OrionError
from orion.model.volume_snapshots import SNAPSHOT
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.controllers import Controllers
from orion.node.leader.proposer import Proposer
from orion.node.leader.until import changed_or_due
from orion.node.leader.volume_turns import VolumeTurns
from orion.node.routing.forward import Forward
from orion.node.routing.plugin_calls import CallDone
from orion.node.routing.storage_calls import DeleteStored, GrowStored, MakeStored
from orion.node.rpc.request import CallRequest
from orion.ports.clock import Clock
from orion.reconcile.deployment_look import NEVER_MS
from orion.reconcile.rests import Rests
from orion.reconcile.storage import (
    FIRST_AGAIN_MS,
    LONGEST_AGAIN_MS,
    Standing,
    StorageStep,
    Subject,
    is_expected,
    next_step,
    of_snapshot,
    of_volume,
    was_never_there,
)
from orion.state.commands import AnyCommand
from orion.state.sound import fault_of
from orion.state.tables.claims import Claims
from orion.state.tables.storage_outcomes import (
    EndStored,
    MarkStored,
    SetStoredSize,
    SetStoredSnapshot,
    SetStoredVolume,
)
from orion.state.tables.volume_snapshots import VolumeSnapshots
from orion.state.tables.volumes import Volumes

log = logging.getLogger(__name__)

GATHER_S = 0.02
CALL_S = 135.0  # longer than a plugin's own deadline, which is 120 s
MOST = 16  # calls at a time
_NO_NEWS = (FailureKind.PENDING.value,)  # the former call is still under way

Terms = tuple[object, ...]


class Storage:
    name = "storage"

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
        self._turns = turns
        self._controllers = controllers
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._rests = Rests[Subject](FIRST_AGAIN_MS, LONGEST_AGAIN_MS)
        self._flying: set[str] = set()

    async def run(self, _term: int, /) -> None:
        self._begin_anew()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    seen, again_ms = self._driver.watch.moves, self._look(group)
                    await changed_or_due(self._driver, self._clock, again_ms, GATHER_S, seen)
        finally:
            for each in self._flying:  # cancelled before they began
                self._turns.end(each)

    def _look(self, group: asyncio.TaskGroup) -> int:
        """Begins what is due, and returns when something else will be."""
        again_ms, now_ms = NEVER_MS, self._clock.now_ms()
        standings = self._standings()
        self._rests.keep({each.subject for each in standings})
        for each in standings:
            step = next_step(each)
            if step is StorageStep.NOTHING or each.key in self._flying:
                continue
            until_ms = self._rests.until_ms(each.subject, self._terms(each))
            if until_ms > now_ms:
                again_ms = min(again_ms, until_ms)
            elif len(self._flying) < MOST and self._turns.begin(each.key):
                self._flying.add(each.key)
                group.create_task(self._fly(each, step), name=f"storage-{each.key}")
        return again_ms

    def _standings(self) -> list[Standing]:
        view = self._driver.view
        claims = view.of(Claims)
        found = [
            of_volume(row, row.system, held=bool(claims.of_volume(row.name)))
            for row in view.of(Volumes).unsettled()
            if row.system is not None
        ]
        return found + [of_snapshot(row) for row in view.of(VolumeSnapshots).unsettled()]

    def _terms(self, each: Standing) -> Terms:
        """All that the answer to a call depends on, but time."""
        return each.removing, each.grow_to, each.asked_at, self._controllers.of(each.driver)

    async def _fly(self, each: Standing, step: StorageStep) -> None:
        try:
            await self._carry_out(each, step)
        finally:
            self._flying.discard(each.key)
            self._turns.end(each.key)

    async def _carry_out(self, each: Standing, step: StorageStep) -> None:
        at_ms = self._clock.wall_ms()
        if step is StorageStep.END:
            await self._proposer.propose(EndStored(at_ms, *each.subject))
            return
        terms = self._terms(each)
        if step is StorageStep.ASK:
            if not self._controllers.of(each.driver):
                await self._failed(each, step, terms, self._nobody(each))
                return
            if await self._proposer.propose(MarkStored(at_ms, *each.subject, asked=True, why=each.why)) is None:
                return
            step = StorageStep.MAKE
        done = await self._call(each, step)
        if done is None:  # it is not to be done any more, or not now
            self._rests.failed(each.subject, terms, self._clock.now_ms())
        elif done.failed:
            await self._failed(each, step, terms, done)
        else:
            await self._succeeded(each, step, terms, done)

    # --- calls --------------------------------------------------------------------------------------------

    async def _call(self, each: Standing, step: StorageStep) -> CallDone | None:
        """Asks one node, another one each time."""
        nodes = self._controllers.of(each.driver)
        if not nodes:
            return self._nobody(each)
        node, _ = nodes[self._rests.times(each.subject) % len(nodes)]
        try:
            return await self._forward.ask_node(node, _request(each, step), timeout_s=CALL_S)
        except (Conflict, NotFound) as error:
            log.info("%s of %s was not made: %s", step, each.key, error.detail)
            return None
        except OrionError as error:
            return CallDone(failed=f"{node} could not make the call: {error.detail}")

    def _nobody(self, each: Standing) -> CallDone:
        words = f"no node that is there has plugin {each.driver} with a controller that works"
        return CallDone(failed=f"{words}: 'orion plugin ls' says why")

    # --- what came of them --------------------------------------------------------------------------------

    async def _failed(self, each: Standing, step: StorageStep, terms: Terms, done: CallDone) -> None:
        at_ms, why = self._clock.wall_ms(), done.failed[:MAX_WHY]
        never = done.never and not each.removing
        times = self._rests.failed(each.subject, terms, self._clock.now_ms(), done.kind, never=never)
        gone = step is StorageStep.DELETE and done.kind == FailureKind.NOT_FOUND.value
        if gone or was_never_there(each, done.kind, times):
            await self._proposer.propose(EndStored(at_ms, *each.subject))
        elif step is StorageStep.GROW and done.never:
            await self._propose_size(each, CallDone(), why)
        elif done.kind in _NO_NEWS or is_expected(each, done.kind):
            return
        elif (why, never) != (each.why, each.refused):
            mark = MarkStored(at_ms, *each.subject, asked=False, why=why, refused=never)
            await self._proposer.propose(mark)

    async def _succeeded(self, each: Standing, step: StorageStep, terms: Terms, done: CallDone) -> None:
        at_ms = self._clock.wall_ms()
        self._rests.forget(each.subject)
        if step is StorageStep.DELETE:
            await self._proposer.propose(EndStored(at_ms, *each.subject))
            return
        if step is StorageStep.GROW:
            await self._propose_size(each, done)
            return
        command: AnyCommand
        if each.key.startswith(SNAPSHOT):
            name = each.key.removeprefix(SNAPSHOT)
            command = SetStoredSnapshot(
                at_ms, name, each.created_index, done.id, done.size_bytes, done.taken_ms, done.ready
            )
            if not done.ready:
                self._rests.failed(each.subject, terms, self._clock.now_ms())
        else:
            command = SetStoredVolume(at_ms, *each.subject, done.id, done.size_bytes, done.context, done.topologies)
        if fault := fault_of(command):  # more than can be kept
            why = f"plugin {each.driver} said of it what can't be kept: {fault}"
            await self._failed(each, step, terms, CallDone(failed=why, kind=FailureKind.LIE.value))
        else:
            await self._proposer.propose(command)

    async def _propose_size(self, each: Standing, done: CallDone, why: str = "") -> None:
        at_ms, size = self._clock.wall_ms(), each.grow_to
        has = 0 if why else max(done.size_bytes, size)
        await self._proposer.propose(SetStoredSize(at_ms, *each.subject, size, has, done.node_grows, why))


def _request(each: Standing, step: StorageStep) -> CallRequest[CallDone]:
    if step is StorageStep.MAKE:
        return MakeStored(*each.subject)
    if step is StorageStep.DELETE:
        return DeleteStored(*each.subject)
    return GrowStored(*each.subject, each.grow_to)
