"""The Relay port: TCP connections of clients by IPv6 to ports that the kernel leads on for IPv4 alone."""

from collections.abc import Collection
from typing import Protocol


class Relay(Protocol):
    def keep(self, ports: Collection[int]) -> None:
        """Listens at these ports of this machine's IPv6 addresses from now on, and at no others. One that somebody
        else has is tried again. Connections that are there stay.
        """

    async def run(self) -> None:
        """Passes on, byte for byte, to the same port of 127.0.0.1, until it is cancelled: then all connections end.
        Raises nothing for what clients and tasks do.
        """
