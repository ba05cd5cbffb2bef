"""Volumes as the API and the agent ask for them: reads at a voter, changes through the log, sizes at nodes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from orion.model.api.volumes import PrunedView, VolumeMoveView, VolumeSizeView, VolumeView
from orion.model.errors import Conflict, OrionError, Unavailable
from orion.model.ids import NodeId
from orion.model.volumes import MAX_VOLUMES, Volume
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitter
from orion.node.routing.volume_data import AskCopy, CopyState, DropData
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.freshness import Freshness
from orion.node.services.one_node import answer_or_why
from orion.node.services.rows import Rows
from orion.node.services.volume_backups import VolumeBackups
from orion.node.services.volumes_here import with_nodes
from orion.node.views.render_volumes import unused, volume, volumes
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.ports.volumes import VolumeSize, VolumeStore
from orion.scheduler.volume_targets import target_for
from orion.state.tables.volume_changes import CreateVolume, RemoveVolume, SetVolumeData
from orion.state.tables.volume_moves import BeginVolumeMove
from orion.state.tables.volumes import Volumes as Table
from orion.state.tables.volumes import unknown_volume

TELL_TIMEOUT_S = 5.0
MAX_PAGE = 500
MAX_NAME = 256
SIZE_S = 10.0  # for all of one node's
COUNTED_MS = 4_000  # after which a node begins to count no other
UNCOUNTED = VolumeSize(0, 0, False)
DROP_S = 60.0  # that a node takes to remove what a volume has
COPY_S = 2.0


class AskVolumes(CallRequest[list[VolumeView]], frozen=True, tag=64):
    """Volumes past the name `after`, by name."""

    after: str
    limit: int
    read: Read

    def fault(self) -> str:
        if not 1 <= self.limit <= MAX_PAGE:
            return f"{self.limit} volumes at a time; at most {MAX_PAGE} are given"
        return _name_fault(self.after)


class AskVolume(CallRequest[VolumeView], frozen=True, tag=65):
    """One of them. NotFound when there is none of that name."""

    name: str
    read: Read

    def fault(self) -> str:
        return _name_fault(self.name)


class AskTarget(CallRequest[NodeId], frozen=True, tag=72):
    """The node that a volume is to go to, or to be made on. Conflict when there is none."""

    name: str
    read: Read

    def fault(self) -> str:
        return _name_fault(self.name)


class AskUnused(CallRequest[list[str]], frozen=True, tag=68):
    """The names of those that no job asks for."""

    read: Read


class Sizes(msgspec.Struct, frozen=True, array_like=True):
    """In the order of the question; None: it has not that data."""

    sizes: list[VolumeSize | None]


class AskSizes(CallRequest[Sizes], frozen=True, tag=66):
    """The sizes of volumes that this node has, by their keys."""

    at: ClassVar = Place.NODE

    keys: tuple[str, ...]

    def fault(self) -> str:
        many = len(self.keys) > MAX_PAGE
        return "too many volumes at a time" if many else next(filter(None, map(_name_fault, self.keys)), "")


def _name_fault(name: str) -> str:
    return "" if len(name) <= MAX_NAME else f"a name of {len(name):,} characters"


class Volumes:
    """Fulfils service.VolumeService."""

    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        driver: RaftDriver,
        store: VolumeStore,
        forward: Forward,
        registry: Registry,
        changes: Changes,
        submitter: Submitter,
        freshness: Freshness,
        rows: Rows,
    ) -> None:
        self._me = me
        self._clock = clock
        self._driver = driver
        self._store = store
        self._forward = forward
        self._changes = changes
        self._submitter = submitter
        self._freshness = freshness
        self._rows = rows
        self.backups = VolumeBackups(clock=clock, forward=forward, changes=changes, submitter=submitter, rows=rows)
        registry.answer_call(AskVolumes, self._answer_volumes)
        registry.answer_call(AskVolume, self._answer_volume)
        registry.answer_call(AskTarget, self._answer_target)
        registry.answer_call(AskUnused, self._answer_unused)
        registry.answer_call(AskSizes, self._answer_sizes)

    # --- the agent asks -----------------------------------------------------------------------------------

    async def read(self, name: str) -> Volume | None:
        """Linearizable: what the agent gives a task."""
        return (await self._rows.get(Table, name, Read()))[0]

    async def tell(self, volume: Volume, data: str) -> None:
        """Has the cluster know the name of the data that this node has made. Raises Refused where it is not so."""
        command = SetVolumeData(self._clock.wall_ms(), self._me, volume.name, volume.created_index, data)
        await self._submitter.submit(command, timeout_s=TELL_TIMEOUT_S)

    # --- the API asks -------------------------------------------------------------------------------------

    async def find(self, after: str, limit: int, read: Read, *, sizes: bool = False) -> list[VolumeView]:
        found = await self._forward.ask(AskVolumes(after, limit, read))
        return await self._with_nodes(await self._with_sizes(found), read) if sizes else found

    async def get(self, name: str, read: Read) -> VolumeView:
        (found,) = await self._with_sizes([await self._forward.ask(AskVolume(name, read))])
        (found,) = await self._with_nodes([found], read)
        return await self._with_move(found, read) if found.state == "moving" else found

    async def create(
        self, name: str, labels: dict[str, str], *, idempotency_key: str, timeout_s: float
    ) -> VolumeView:
        pairs = tuple(sorted(labels.items()))
        await self._changes.make(
            lambda at_ms, key, since: CreateVolume(at_ms, name, pairs, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return await self._forward.ask(AskVolume(name, self._changes.read_after(timeout_s)))

    async def remove(self, name: str, *, force: bool, idempotency_key: str, timeout_s: float) -> str:
        """Returns why its data is still on its node; "" when it is not. A storage system's is removed when this
        returns, or being removed.
        """
        row = (await self._rows.get(Table, name, Read(timeout_s=timeout_s)))[0]
        if row is None:
            raise unknown_volume(name)
        if not force:
            await self._require_answer(row)
        return await self._remove(row, idempotency_key, timeout_s, force=force)

    async def _require_answer(self, row: Volume) -> None:
        """Raises Unavailable while the node of its data does not answer: that would be left behind."""
        if not row.data or row.system is not None:
            return
        try:
            await self._forward.ask_node(row.home, AskSizes(()), timeout_s=COPY_S)
        except OrionError as error:
            raise Unavailable(
                f"{row.home}, which has the data of volume {row.name}, does not answer ({error.detail}): remove it"
                f" once it does, or 'orion volume rm --force {row.name}' leaves the data there"
            ) from None

    async def _remove(self, row: Volume, idempotency_key: str, timeout_s: float, *, force: bool = False) -> str:
        await self._changes.make(
            lambda at_ms, key, since: RemoveVolume(at_ms, row.name, row.created_index, key, since, force),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        if row.system is not None:
            return f"{row.driver} was not asked to delete it" if force and row.system.asked else ""
        return await self._drop(row.home, row.key, row.data) if row.data else ""

    async def _drop(self, home: NodeId, key: str, data: str) -> str:
        found = await answer_or_why(self._forward, home, DropData(key, data), DROP_S)
        return found if isinstance(found, str) else ""

    async def prune(self, *, timeout_s: float) -> PrunedView:
        """Removes all that no job asks for."""
        removed: list[str] = []
        left: dict[str, str] = {}
        for name in await self._forward.ask(AskUnused(Read(timeout_s=timeout_s))):
            row = (await self._rows.get(Table, name, Read(timeout_s=timeout_s)))[0]
            if row is None:
                continue
            try:
                await self._require_answer(row)
                why = await self._remove(row, "", timeout_s)
            except OrionError as error:  # somebody uses it by now, or its node is away
                left[name] = error.detail
                continue
            removed.append(name)
            if why:
                left[name] = why
        return PrunedView(removed, left)

    async def backup(self, name: str, *, live: bool) -> AsyncGenerator[bytes, None]:
        found = await self._forward.ask(AskVolume(name, Read()))
        if found.storage is not None:
            raise Conflict(
                f"volume {name} is in a storage system: 'orion volume snapshot {name}' keeps what is in it"
            )
        if found.in_use and not live:
            raise Conflict(
                f"volume {name} is in use: stop {' and '.join(found.used_by[:3])} first, so that all of it is of"
                " one moment, or take it as it is with --live"
            )
        async with contextlib.aclosing(self.backups.read(name, live=live)) as pieces:
            async for piece in pieces:
                yield piece

    async def restore(self, name: str, to: NodeId, pieces: AsyncIterator[bytes], *, timeout_s: float) -> None:
        if not to and (await self._rows.get(Table, name, Read(timeout_s=timeout_s)))[0] is None:
            to = await self._forward.ask(AskTarget(name, Read(timeout_s=timeout_s)))
        await self.backups.write(name, to, pieces, timeout_s=timeout_s)

    async def move(
        self, name: str, to: NodeId, *, cancel: bool, idempotency_key: str, timeout_s: float
    ) -> VolumeView:
        if cancel:
            to = NodeId("")
        elif not to:
            to = await self._forward.ask(AskTarget(name, Read(timeout_s=timeout_s)))
        await self._changes.make(
            lambda at_ms, key, since: BeginVolumeMove(at_ms, name, to, key, since),
            timeout_s,
            idempotency_key=idempotency_key,
        )
        return await self._forward.ask(AskVolume(name, self._changes.read_after(timeout_s)))

    async def _with_sizes(self, found: list[VolumeView]) -> list[VolumeView]:
        homes: dict[str, list[VolumeView]] = {}
        for each in found:
            if each.node_id is not None and each.state != "new" and each.storage is None:
                homes.setdefault(each.node_id, []).append(each)
        answers = await asyncio.gather(*(self._sizes(NodeId(home), held) for home, held in homes.items()))
        known = {name: shown for each in answers for name, shown in each.items()}
        return [known.get(each.name, each) for each in found]

    async def _sizes(self, home: NodeId, held: list[VolumeView]) -> dict[str, VolumeView]:
        keys = tuple(f"{each.name}.{each.created_index}" for each in held)
        answer = await answer_or_why(self._forward, home, AskSizes(keys), SIZE_S)
        if isinstance(answer, str):
            return {each.name: replace(each, size_reason=answer) for each in held}
        missing = f"its data is missing on {home}"
        return {
            each.name: replace(each, size_reason=missing)
            if size is None
            else replace(each, size=VolumeSizeView(size.bytes, size.files, size.complete))
            for each, size in zip(held, answer.sizes, strict=False)
        }

    async def _with_nodes(self, found: list[VolumeView], read: Read) -> list[VolumeView]:
        return found if read.stale else await with_nodes(self._forward, found)

    async def _with_move(self, found: VolumeView, read: Read) -> VolumeView:
        row = (await self._rows.get(Table, found.name, read))[0]
        if row is None or not row.moving_to:
            return found
        state = await answer_or_why(self._forward, row.moving_to, AskCopy(row.key, row.next_data), COPY_S)
        if isinstance(state, str):
            state = CopyState(reason=state)
        total = found.size.bytes if found.size is not None else 0
        copied = max(total, state.bytes) if state.done else state.bytes
        return replace(found, move=VolumeMoveView(row.moving_to, copied, total, state.reason))

    # --- nodes ask ----------------------------------------------------------------------------------------

    async def _answer_volumes(self, request: AskVolumes, _: Principal) -> list[VolumeView]:
        await self._freshness.reached(request.read)
        return volumes(self._driver.view, request.after, request.limit)

    async def _answer_volume(self, request: AskVolume, _: Principal) -> VolumeView:
        await self._freshness.reached(request.read)
        found = volume(self._driver.view, request.name)
        if found is None:
            raise unknown_volume(request.name)
        return found

    async def _answer_target(self, request: AskTarget, _: Principal) -> NodeId:
        await self._freshness.reached(request.read)
        row = self._driver.view.of(Table).get(request.name)
        if row is None:
            row = Volume(request.name)  # one that is to be made
        if row.moving_to:
            return row.moving_to
        target = target_for(self._driver.view, row)
        if target is None:
            raise Conflict(f"no other node has room for the tasks of volume {row.name}: name one all the same")
        return target

    async def _answer_unused(self, request: AskUnused, _: Principal) -> list[str]:
        await self._freshness.reached(request.read)
        return sorted(row.name for row in unused(self._driver.view))[:MAX_VOLUMES]

    async def _answer_sizes(self, request: AskSizes, _: Principal) -> Sizes:
        found: list[VolumeSize | None] = []
        due_ms = self._clock.now_ms() + COUNTED_MS
        for key in request.keys:
            there = await self._store.data_of(key)
            if there is not None and self._clock.now_ms() >= due_ms:
                found.append(UNCOUNTED)
            else:
                found.append(None if there is None else await self._store.size_of(key))
        return Sizes(found)
