"""The resolvers of this machine, after resolv.conf(5)."""

import asyncio
import logging
import socket
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
LOOK_S = 1.0  # how long a change goes unseen
MAX_SERVERS = 3  # as glibc has it
MAX_FILE_BYTES = 64 * 1024


class Server(msgspec.Struct, frozen=True):
    """`address` is what connect(2) takes."""

    family: int
    address: tuple[str | int | bytes, ...]

    @property
    def place(self) -> tuple[str | int | bytes, ...]:
        return self.address[:2]


class Resolvers:
    """The file is looked at when somebody asks, at most once in LOOK_S, and read again when it has changed."""

    def __init__(self, path: Path = RESOLV_CONF, port: int = 53) -> None:
        self._path = path
        self._port = port
        self._servers: tuple[Server, ...] | None = None
        self._seen: tuple[int, ...] = ()
        self._looked_s = -LOOK_S
        self._looking = asyncio.Lock()

    async def servers(self) -> tuple[Server, ...]:
        """Returns none where the file is not there, or names none."""
        if self._servers is not None and (not self._is_due() or self._looking.locked()):
            return self._servers
        async with self._looking:
            if self._is_due():
                self._servers = await asyncio.to_thread(self._look)
                self._looked_s = asyncio.get_running_loop().time()
        return self._servers or ()

    def _is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._looked_s >= LOOK_S

    def _look(self) -> tuple[Server, ...]:
        try:
            found = self._path.stat()
            seen = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
            if seen == self._seen and self._servers is not None:
                return self._servers
            with self._path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES)
        except OSError:
            self._seen = ()
            return ()
        self._seen = seen
        return tuple(server for host in hosts_in(text) if (server := _server(host, self._port)))[:MAX_SERVERS]


def hosts_in(text: bytes) -> list[str]:
    """Returns what stands behind `nameserver` in a resolv.conf."""
    lines = (line.split() for line in text.decode("ascii", "replace").splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def _server(host: str, port: int) -> Server | None:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError):
        log.warning("the resolver %s of resolv.conf is no address, and is not asked", host[:80])
        return None
    family, _, _, _, address = found[0]
    return Server(family, address)
