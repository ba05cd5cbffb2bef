"""A duty's wait for its next look."""

import asyncio
import contextlib

from orion.node.consensus.driver import RaftDriver
from orion.ports.clock import Clock
from orion.reconcile.deployment_look import NEVER_MS

SOON_S = 0.01  # the least wait: whatever is due is due in its own turn of the loop


async def changed_or_due(driver: RaftDriver, clock: Clock, due_ms: int, gather_s: float, seen: int) -> None:
    """Returns once the state has changed, and what changes together with it in `gather_s`, or at `due_ms`. `seen`:
    what the watch's `moves` was before the look that is over. What has changed during it was not seen.
    """
    left_s = (due_ms - clock.now_ms()) / 1000
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if due_ms == NEVER_MS else max(SOON_S, left_s)):
            await driver.watch.changed(seen)
            await asyncio.sleep(gather_s)
