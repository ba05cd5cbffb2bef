"""The Relay port of one process, without sockets."""

import asyncio
from collections.abc import Collection


class SimRelay:
    def __init__(self) -> None:
        self.ports: frozenset[int] = frozenset()

    def keep(self, ports: Collection[int]) -> None:
        self.ports = frozenset(ports)

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()
