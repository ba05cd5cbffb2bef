"""Ports that are forwarded while the app runs."""

import threading
from collections.abc import Callable, Iterator

from orion.client import Client
from orion.client.forwarding import Forwarding

BIND = "127.0.0.1"


class Forwards:
    def __init__(self) -> None:
        self._running: list[Forwarding] = []

    def __iter__(self) -> Iterator[Forwarding]:
        return iter(tuple(self._running))

    def begin(self, client: Client, task: str, ports: tuple[int, int], tell: Callable[[str], None]) -> Forwarding:
        """`tell` is told by other threads what went wrong. Raises Refused for a port that can't be had."""
        forwarding = Forwarding(client, task, [ports], BIND, tell)
        self._running.append(forwarding)
        threading.Thread(target=forwarding.serve, name=f"forward {task}", daemon=True).start()
        return forwarding

    def end(self, forwarding: Forwarding) -> None:
        if forwarding in self._running:
            self._running.remove(forwarding)
        forwarding.close()

    def end_all(self) -> None:
        for each in list(self._running):
            self.end(each)
