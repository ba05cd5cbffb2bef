"""A task's output, from whichever nodes it has run on. Followed, it is the task's: over restarts and moves, with a
sentence on what happened between.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from enum import Enum
from typing import ClassVar

from msgspec.structs import replace

from orion.model.api.tasks import AllocationView, TaskView
from orion.model.container import LogEntry, LogQuery
from orion.model.errors import EngineError, NoMajority, NotFound, OrionError, Unavailable
from orion.model.ids import AllocationId, NodeId
from orion.model.logs import LogEnd, LogItem, LogNotice, LogPiece, LogPosition, LogReader
from orion.node.agent.agent import Agent
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import Place, StreamRequest
from orion.node.services.nodes import AskNode
from orion.node.services.tasks import AskTask
from orion.node.views import render
from orion.ports.peers import Principal

MAX_TAIL = 10**9  # lines
LOOK_S = 10.0  # one long poll for what becomes of the task
PAUSE_S = 0.1  # before each: on a busy cluster something else changes all the time
AGAIN_S = 0.5  # until output that could not be read is asked for again
PATIENCE_S = 2.0  # what takes longer is told before it is over

_ENDED = frozenset({"completed", "failed", "stopped"})
_ACTIVE = frozenset({"scheduled", "pulling", "starting", "running"})


class ReadLogs(StreamRequest[list[LogEntry]], frozen=True, tag=11):
    """A container's output, from the node that runs the allocation."""

    at: ClassVar = Place.NODE

    allocation: AllocationId
    query: LogQuery

    def fault(self) -> str:
        tail = self.query.tail
        return "" if tail is None or 0 <= tail <= MAX_TAIL else f"the last {tail} lines"


class Logs:
    def __init__(
        self,
        *,
        me: NodeId,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        registry: Registry,
        agent: Agent,
    ) -> None:
        self._me = me
        self._driver = driver
        self._directory = directory
        self._agent = agent
        self.forward = forward
        registry.answer_stream(ReadLogs, self._answer)

    def stream(
        self, task: str, query: LogQuery, after: LogPosition | None, *, previous: bool
    ) -> AsyncGenerator[LogItem, None]:
        """As service.Service has it."""
        if query.follow:
            return _Follower(self, query).follow(task, after)
        return self._latest(task, query, previous=previous)

    def _answer(self, request: ReadLogs, _: Principal) -> AsyncGenerator[list[LogEntry], None]:
        return self._agent.logs(request.allocation, request.query)

    async def _latest(self, task: str, query: LogQuery, *, previous: bool) -> AsyncGenerator[LogItem, None]:
        """Yields the output of the newest run that has a container; of those before the newest, if `previous`."""
        view, _ = await self.task(task)
        runs = [run for run in view.allocations if run.started_at] if previous else view.allocations
        for run in reversed(runs[: len(runs) - previous]):
            said = False
            try:
                async with contextlib.aclosing(self.read(run, query, LogReader(_start_of(run)))) as pieces:
                    async for piece in pieces:
                        said = True
                        yield piece
            except NotFound:
                continue  # no container yet, or no longer: an earlier run may have one
            if said or run.started_at:
                return
        if previous:
            raise NotFound(f"of {view.id} no run before the newest has logs any more, or there was none")
        raise _nothing_to_read(view)

    async def task(self, task: str) -> tuple[TaskView, int]:
        """Returns what this node itself knows where nothing newer can be had: containers outlive a majority."""
        driver = self._driver
        try:
            read = Read(stale=driver.is_member and not driver.standing.leader)
            return await self.forward.ask(AskTask(task, read))
        except NoMajority:
            if not driver.is_member:
                raise
            return await self.forward.ask(AskTask(task, Read(stale=True)))

    async def read(self, run: AllocationView, query: LogQuery, reader: LogReader) -> AsyncGenerator[LogPiece, None]:
        """Yields what `reader` has not read of a run. Raises NotFound where it has no container; Unavailable,
        EngineError.
        """
        reader.begin()
        since_ns = max(query.since_ns, reader.position.since_ns)
        async with contextlib.aclosing(self._entries(run, replace(query, since_ns=since_ns))) as batches:
            async for entries in batches:
                if unread := reader.unread(entries):
                    yield LogPiece(run.id, run.node_id, unread, reader.position)

    def _entries(self, run: AllocationView, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        node = NodeId(run.node_id)
        known, seen = self._driver.view.node(node), self._directory.seen(node)
        led = bool(self._driver.standing.leader)
        if node != self._me and (gone := render.why_gone(known, seen, led=led)):
            raise Unavailable(f"the logs are on {node}, which {gone}; they can be read once it is back")
        return self.forward.stream_of_node(node, ReadLogs(_id_of(run), query))


class _Sequel(Enum):
    """The way on when the output of a run has come to its end, or could not be read."""

    AGAIN = "again"  # it goes on running: there may be more
    NEXT = "next"  # a later run
    WAIT = "wait"
    OVER = "over"


def _sequel(view: TaskView, run: AllocationView | None) -> tuple[_Sequel, AllocationView | None]:
    """With the run to read, as `view` has it."""
    known = next((a for a in view.allocations if run is not None and a.id == run.id), None)
    if known is not None and known.state in _ACTIVE:
        return (_Sequel.AGAIN if known.state == "running" else _Sequel.WAIT), known
    begin = view.allocations.index(known) + 1 if known is not None else 0
    for later in view.allocations[begin:]:
        if later.started_at:
            return _Sequel.NEXT, later
        if later.state in _ACTIVE:
            return _Sequel.WAIT, later
    return (_Sequel.OVER if view.state in _ENDED else _Sequel.WAIT), None


class _Follower:
    """One reading of one task's output, over all its runs."""

    def __init__(self, logs: Logs, query: LogQuery) -> None:
        self._logs = logs
        self._query = query
        self._view: TaskView
        self._index = 0
        self._run: AllocationView | None = None  # as it was when it was begun with; None before the first
        self._reader: LogReader
        self._cut = ""  # why the last reading broke off, "" where it came to the end of what there is
        self._cut_at_s: float | None = None  # when that began
        self._cut_told = False
        self._whole = False  # the last reading that had anything came to that end
        self._ending = ""  # how the run's container ended that is to be started again

    async def follow(self, task: str, after: LogPosition | None) -> AsyncGenerator[LogItem, None]:
        if notice := await self._open(task, after):
            yield notice
        while True:
            if self._run is not None:
                async with contextlib.aclosing(self._pieces(self._run)) as pieces:
                    async for piece in pieces:
                        yield piece
            there, said, since_s = await self._look(0), False, _now_s()
            while there and _sequel(self._view, self._run)[0] is _Sequel.WAIT:
                self._see_ending()
                if not said and _now_s() - since_s >= PATIENCE_S:
                    said = True
                    yield LogNotice(await self._what_it_waits_for())
                there = await self._look(LOOK_S if said else PATIENCE_S)
            sequel, run = _sequel(self._view, self._run)
            async with contextlib.aclosing(self._last_words(sequel)) as pieces:
                async for piece in pieces:
                    yield piece
            if not there or sequel is _Sequel.OVER or run is None:
                yield LogEnd(self._end(there=there))
                return
            if notice := await self._turn(sequel, run):
                yield notice

    async def _open(self, task: str, after: LogPosition | None) -> LogNotice | None:
        self._view, self._index = await self._logs.task(task)
        if self._view.state in _ENDED and not any(run.started_at for run in self._view.allocations):
            raise _nothing_to_read(self._view)
        return self._begin(after)

    def _begin(self, after: LogPosition | None) -> LogNotice | None:
        runs = self._view.allocations
        if after is None:
            self._set_run(next((run for run in reversed(runs) if run.started_at), None))
            return None
        known = next((run for run in runs if _id_of(run) == after.allocation), None)
        if known is not None:
            self._set_run(known, after)
            return None
        self._set_run(next((run for run in runs if run.started_at), None))
        return LogNotice(f"{self._view.id}: the run that was read is forgotten; going on with the next one known")

    def _set_run(self, run: AllocationView | None, position: LogPosition | None = None) -> None:
        self._run = run
        self._whole = False
        if run is not None:
            self._reader = LogReader(position or _start_of(run))

    async def _pieces(self, run: AllocationView, *, follow: bool = True) -> AsyncGenerator[LogPiece, None]:
        self._cut = ""
        query = replace(self._query, follow=follow)
        query = replace(query, tail=None) if self._reader.position.last_at else query
        try:
            async with contextlib.aclosing(self._logs.read(run, query, self._reader)) as pieces:
                async for piece in pieces:
                    self._cut_at_s, self._cut_told, self._whole = None, False, False
                    yield piece
            self._whole = True
        except NotFound:
            self._break("its container is gone" if self._reader.position.last_at else "")
        except EngineError as error:
            self._break(error.detail)
        except Unavailable as error:
            self._whole = False
            self._break(error.detail)

    async def _last_words(self, sequel: _Sequel) -> AsyncGenerator[LogPiece, None]:
        """An engine may drop those of a container for a reader that follows until its end."""
        if self._run is None or not self._whole or sequel is _Sequel.AGAIN:
            return
        async with contextlib.aclosing(self._pieces(self._run, follow=False)) as pieces:
            async for piece in pieces:
                yield piece

    def _break(self, why: str) -> None:
        """A container that is gone once all of it was read is missed by nobody."""
        if why and not self._whole:
            self._cut = why
            self._cut_at_s = _now_s() if self._cut_at_s is None else self._cut_at_s

    async def _look(self, wait_s: float) -> bool:
        """Sees what has become of the task, after `wait_s` at the latest. False when it is there no more."""
        read = Read(after_index=self._index, wait_s=wait_s) if wait_s else Read()
        if wait_s:
            await asyncio.sleep(PAUSE_S)
        try:
            view, self._index = await self._logs.forward.ask(AskTask(self._view.id, read))
        except NotFound:
            return False
        if view.created_at != self._view.created_at:
            return False  # another of its name
        self._view = view
        return True

    async def _turn(self, sequel: _Sequel, run: AllocationView) -> LogNotice | None:
        """Turns to what is read next. Returns what is to be said of it."""
        view = self._view
        if sequel is _Sequel.NEXT:
            notice = LogNotice(await self._moved(run)) if self._run is not None else None
            self._query = replace(self._query, tail=None)
            self._set_run(run)
            self._ending = ""
            return notice
        assert self._run is not None
        if run.started_at != self._run.started_at:
            ending, self._ending = self._ending or "its container has ended", ""
            self._set_run(run, self._reader.position)
            return LogNotice(f"{view.id}: {ending}; running again on {run.node_id} since {run.started_at}")
        # The same container: its node or its engine did not answer, or what it did is not reported yet.
        await self._look(AGAIN_S)
        if self._cut_at_s is None or self._cut_told or _now_s() - self._cut_at_s < PATIENCE_S:
            return None
        self._cut_told = True
        return LogNotice(f"{view.id}: can't be read from {run.node_id} now, trying again: {self._cut}")

    # --- words --------------------------------------------------------------------------------------------

    def _see_ending(self) -> None:
        run = self._known()
        if run is not None and run.state == "starting" and run.finished_at is not None:
            self._ending = run.reason.removeprefix("restarting after ")

    def _known(self) -> AllocationView | None:
        """Returns the run that is read as it is now, None when it is forgotten."""
        return next((a for a in self._view.allocations if self._run is not None and a.id == self._run.id), None)

    async def _moved(self, run: AllocationView) -> str:
        runs = "running" if run.state in _ACTIVE else "ran"
        why = await self._why_it_ended()
        return f"{self._view.id}: {why}; {runs} on {run.node_id} since {run.started_at}"

    async def _what_it_waits_for(self) -> str:
        view = self._view
        now = f"{view.state}: {view.reason}" if view.reason else view.state
        return (
            f"{view.id}: {await self._why_it_ended()}; now {now}"
            if self._run is not None
            else f"{view.id} is {now}"
        )

    async def _why_it_ended(self) -> str:
        """Says of the run that is read why there is no more of it."""
        run = self._known() or self._run
        assert run is not None
        match run.state:
            case "lost":
                return f"{run.reason}{self._missing(run)}"
            case "failed":
                return f"failed on {run.node_id}: {run.reason}"
            case "completed":
                return f"completed on {run.node_id}"
            case "stopped":
                drained = await self._is_draining(run.node_id)
                return f"{f'{run.node_id} was drained' if drained else f'left {run.node_id}'}{self._missing(run)}"
            case _:
                return self._ending or f"ended on {run.node_id}"

    async def _is_draining(self, node: str) -> bool:
        try:
            view, _ = await self._logs.forward.ask(AskNode(node, Read(stale=True)))
        except OrionError:
            return False
        return view.status in ("draining", "drained")

    def _missing(self, run: AllocationView) -> str:
        if not self._cut and run.state != "lost":
            return ""
        last_at = self._reader.position.last_at
        return f" (what it wrote on {run.node_id}{f' after {last_at}' if last_at else ''} can't be read)"

    def _end(self, *, there: bool) -> str:
        view = self._view
        if not there:
            return f"{view.id} was stopped and is forgotten"
        words = {"completed": "has completed", "failed": "failed"}.get(view.state, "has stopped")
        return f"{view.id} {words}: {view.reason}" if view.reason else f"{view.id} {words}"


def _nothing_to_read(view: TaskView) -> NotFound:
    why = f"{view.state}: {view.reason}" if view.reason else view.state
    ran = next((run for run in reversed(view.allocations) if run.started_at), None)
    if ran is None:
        return NotFound(f"{view.id} has not run yet, so it has no logs; it is {why}")
    return NotFound(
        f"{view.id} has run on {ran.node_id}, but somebody has removed its container (docker container prune does),"
        f" and its logs with it; it is {why}"
    )


def _id_of(run: AllocationView) -> AllocationId:
    return AllocationId(int(run.id, 16))


def _start_of(run: AllocationView) -> LogPosition:
    return LogPosition(_id_of(run))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
