"""Runners that come and go with connections. asyncio.TaskGroup ends all of its runners when one fails. Here the
failure of one connection is logged and leaves the others alone; `close` ends all.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Runners:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None] | None":
        """Starts a runner. Returns None and starts nothing once closed."""
        if self._closed:
            work.close()
            return None
        runner = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(runner)
        runner.add_done_callback(self._ended)
        return runner

    def _ended(self, runner: "asyncio.Task[None]") -> None:
        self._running.discard(runner)
        if not runner.cancelled() and (error := runner.exception()) is not None:
            log.error("%s failed", runner.get_name(), exc_info=error)

    async def close(self) -> None:
        self._closed = True
        running = list(self._running)
        for runner in running:
            runner.cancel()
        if running:
            await asyncio.wait(running)
