"""The NameServer port of one process, without sockets."""

import asyncio

from orion.ports.dns import NameCounts, Resolve


class SimNames:
    def __init__(self, resolve: Resolve) -> None:
        self.resolve = resolve
        self.counts = NameCounts()
        self.host = ""

    def open(self, host: str) -> None:
        self.host = host

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()
