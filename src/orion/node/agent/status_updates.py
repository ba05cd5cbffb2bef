"""Allocation statuses on their way into the log: the newest of each allocation, sent together, repeated until
committed.
"""

import asyncio
import logging
from collections.abc import Callable

from orion.model.allocation import AllocationStatus
from orion.model.errors import OrionError, Refused
from orion.model.ids import AllocationId, NodeId
from orion.model.levels import FIRST
from orion.node.routing.submit import Submitter
from orion.ports.clock import Clock
from orion.state.core.features import within
from orion.state.tables.allocation_updates import UpdateAllocations

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT_S = 5.0
RETRY_S = 0.2
MAX_UPDATES = 1_000  # in one command


class StatusUpdates:
    """`level` says what the cluster understands; what is newer is left out of a status."""

    def __init__(
        self, *, me: NodeId, clock: Clock, submitter: Submitter, level: Callable[[], int] = lambda: FIRST
    ) -> None:
        self._level = level
        self._me = me
        self._clock = clock
        self._submitter = submitter
        self._pending: dict[AllocationId, AllocationStatus] = {}
        self._some = asyncio.Event()

    def add(self, allocation: AllocationId, status: AllocationStatus) -> None:
        self._pending[allocation] = status
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._pending:
                await self._send()

    async def _send(self) -> None:
        batch = dict(list(self._pending.items())[:MAX_UPDATES])
        for allocation in batch:
            del self._pending[allocation]
        updates = UpdateAllocations(self._clock.wall_ms(), self._me, tuple(batch.items()))
        command = within(updates, self._level())
        try:
            await self._submitter.submit(command, timeout_s=SUBMIT_TIMEOUT_S)
        except Refused as error:
            log.warning("the cluster refuses this node's report: %s", error.detail)
        except OrionError as error:
            log.info("report not yet committed: %s", error.detail)
            self._pending = batch | self._pending
            await asyncio.sleep(RETRY_S)
