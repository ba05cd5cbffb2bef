"""Servers for names, one at each of this node's addresses on its networks."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.dns import NameServer

log = logging.getLogger(__name__)


class NameServers:
    """`make` makes one. `failed` is called when a bug ended one: `keep` and `bring` put another in its place."""

    def __init__(self, make: Callable[[], NameServer], failed: Callable[[], None]) -> None:
        self._make = make
        self._failed = failed
        self._runners: dict[str, asyncio.Task[None]] = {}  # by address

    def serves(self, host: str) -> bool:
        return host in self._runners

    def keep(self, hosts: Sequence[str]) -> None:
        """Answers at no other addresses any more."""
        for host, runner in list(self._runners.items()):
            if host not in hosts or runner.done():
                self._runners.pop(host).cancel()

    def bring(self, host: str, group: asyncio.TaskGroup) -> None:
        """Answers there. Raises Unavailable while the port can't be had."""
        if host not in self._runners:
            server = self._make()
            server.open(host)
            self._runners[host] = group.create_task(self._serve(server), name=f"network-names-{host}")

    def close(self) -> None:
        for runner in self._runners.values():
            runner.cancel()
        self._runners.clear()

    async def _serve(self, server: NameServer) -> None:
        try:
            await server.run()
        except* UNFORESEEN:
            log.exception("a bug in Orion, answering names")
            self._failed()
