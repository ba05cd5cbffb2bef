"""Fulfils ports.Clock."""

import asyncio
import time


class SystemClock:
    """`now_ms` is the running event loop's time, so that it fits `call_at` and the loop's timeouts."""

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
