"""Tells the states of allocations: each once, the end with the container's last words."""

import asyncio
import logging
from collections.abc import Callable, Collection

import msgspec

from orion.model.allocation import TERMINAL, AllocationState, AllocationStatus
from orion.model.container import LogQuery
from orion.model.errors import EngineError
from orion.model.ids import AllocationId
from orion.model.pull import PullProgress
from orion.node.agent.isolation import isolated
from orion.node.agent.observed import ObservedContainers
from orion.node.runtime.alarm import Alarm
from orion.ports.clock import Clock
from orion.ports.engine import Engine
from orion.reconcile.containers import Start

log = logging.getLogger(__name__)

TELL_AGAIN_MS = 10_000  # a report that state does not show after so long is made again
LAST_WORDS_LINES = 3
LAST_WORDS_BYTES = 400
LAST_WORDS_TIMEOUT_S = 5.0  # they are asked for once, and an engine may be busy
FIRST_WORD_S = 1.0  # that a run has ended is told by then, for nobody is to use it any more
# The engine notes a start once the process runs, which by then may have said something; the run before ended longer
# ago than this (BACKOFF_FIRST_MS).
START_SLACK_MS = 500

Reporter = Callable[[AllocationId, AllocationStatus], None]


class _Told(msgspec.Struct, frozen=True):
    status: AllocationStatus
    at_ms: int


class Reports:
    """`report` takes a status and repeats it until it is committed."""

    def __init__(
        self, *, clock: Clock, engine: Engine, seen: ObservedContainers, report: Reporter, alarm: Alarm
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._seen = seen
        self._report = report
        self._alarm = alarm
        self._told: dict[AllocationId, _Told] = {}
        self._untold: set[AllocationId] = set()  # what counts as told, and is on its way to that

    def begin_anew(self) -> None:
        """Who was to tell has ended: what was not told is due."""
        for allocation in self._untold:
            self._told.pop(allocation, None)
        self._untold.clear()

    def is_due(self, allocation: AllocationId, status: AllocationStatus) -> bool:
        """Returns False when the same, or an end, was told lately: it is on its way. A late copy of an older one
        may follow it into the log, so it is due again after TELL_AGAIN_MS. What is due counts as told.
        """
        told, now = self._told.get(allocation), self._clock.now_ms()
        # Of an end, its first telling has most to say: by now the container may be gone.
        says_it = told is not None and (told.status == status or told.status.state in TERMINAL)
        if told is not None and says_it and now < told.at_ms + TELL_AGAIN_MS:
            self._alarm.set(told.at_ms + TELL_AGAIN_MS)
            return False
        self._told[allocation] = _Told(status, now)
        self._untold.add(allocation)
        return True

    def forget(self, assigned: Collection[AllocationId]) -> None:
        """All but these."""
        self._told = {a: told for a, told in self._told.items() if a in assigned}
        self._untold.intersection_update(self._told)

    def starting(
        self,
        action: Start,
        state: AllocationState,
        reason: str,
        failed_starts: int = 0,
        refused_port: int = 0,
        pull: PullProgress | None = None,
    ) -> None:
        """How far a start has come."""
        self._told.pop(action.allocation.id, None)
        status = AllocationStatus(
            state,
            reason,
            action.restarts,
            failed_starts=failed_starts,
            container=action.container,
            refused_port=refused_port,
            pull=pull,
        )
        self._report(action.allocation.id, status)

    def removed(self, allocation: AllocationId, status: AllocationStatus) -> None:
        """Its end, with its container gone and so no more words."""
        self._told[allocation] = _Told(status, self._clock.now_ms())
        self._report(allocation, status)

    async def tell(self, allocation: AllocationId, status: AllocationStatus) -> None:
        """With the container's last words, which usually say why it ended. One that was told to end has no reason,
        so its words are none either. What is told without them, as they are long in coming, is told with them
        again; but of the end of an allocation state takes the first telling alone.
        """
        has_words = status.reason and status.finished_at_ms and status.exit_code != 0
        if not has_words:
            words = ""
        elif status.state in TERMINAL:
            words = await self._last_words(allocation)
        else:
            early = asyncio.get_running_loop().call_later(FIRST_WORD_S, self._report, allocation, status)
            try:
                words = await self._last_words(allocation)
            finally:
                early.cancel()
        self._untold.discard(allocation)
        self._report(allocation, status.because(f"{status.reason}: {words}") if words else status)

    async def _last_words(self, allocation: AllocationId) -> str:
        container = self._seen.of(allocation)
        if container is None:
            return ""
        text = b""
        try:
            async with asyncio.timeout(LAST_WORDS_TIMEOUT_S):
                since_ms = max(0, container.started_at_ms - START_SLACK_MS)
                query = LogQuery(tail=LAST_WORDS_LINES, since_ns=since_ms * 1_000_000)
                with isolated(f"asking for the last words of {allocation:08x}"):
                    async for entries in self._engine.logs(container.id, query):
                        text += b"".join(entry.text for entry in entries)
        except (EngineError, TimeoutError) as error:
            log.debug("no last words of %08x: %s", allocation, error)
        return " / ".join(text[-LAST_WORDS_BYTES:].decode(errors="replace").split("\n")).strip(" /")
