"""Fulfils ports.Clock with the system's clocks."""

import asyncio
import time


class SystemClock:
    """The system's clocks. `now_ms` is the running event loop's time, so that it fits the loop's timers."""

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
