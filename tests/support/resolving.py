"""A DNS server in this process, whom it asks, and clients of it; all on loopback sockets."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orion.adapters.dns import DnsServer, Resolvers
from support import dns

DEADLINE_S = 60.0


@contextlib.asynccontextmanager
async def serving(resolve, resolv_conf: Path, *, host="127.0.0.1", port=0, upstream_port=53):
    """`upstream_port` None: the port of this server itself."""
    resolvers = Resolvers(resolv_conf, upstream_port or 0)
    server = DnsServer(resolve, resolvers, port)
    server.open(host)
    if upstream_port is None:
        resolvers._port = server.port
    running = asyncio.ensure_future(server.run())
    try:
        yield server
    finally:
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=DEADLINE_S)
        assert done, "the server does not end"
        assert running.cancelled(), running.exception()


class Client:
    """Asks by UDP, from an address of its own."""

    def __init__(self, port, *, host="127.0.0.1", source="127.0.0.1"):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((source if ":" not in host else host, 0))
        self.sock.connect((host, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.send(data)

    async def receive(self):
        async with asyncio.timeout(DEADLINE_S):
            return dns.parse(await asyncio.get_running_loop().sock_recv(self.sock, 65_535))

    async def ask(self, *args, **options):
        self.send(dns.query(*args, **options))
        return await self.receive()

    async def insist(self, *args, try_s=1.0, **options):
        """Asks again, as resolvers do, until there is an answer."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(try_s):
                        return await self.ask(*args, **options)


class Stream:
    """Asks by TCP."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port, host="127.0.0.1", source=None):
        reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0) if source else None)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    def send(self, data):
        self.writer.write(struct.pack(">H", len(data)) + data)

    async def receive(self):
        """None: the other end has closed the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                (length,) = struct.unpack(">H", await self.reader.readexactly(2))
                return dns.parse(await self.reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def ask(self, *args, **options):
        self.send(dns.query(*args, **options))
        return await self.receive()


def reply(data, *, ident=None, flags=0x8180, records=(), question=None):
    """The answer to the query `data`. `records` are (type, data)."""
    asked = dns.parse(data)
    written = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(value)) + value for kind, value in records
    )
    return (
        struct.pack(">HHHHHH", asked.ident if ident is None else ident, flags, 1, len(records), 0, 0)
        + (asked.question if question is None else question)
        + written
    )


@dataclass
class Upstream:
    """A resolver that answers with whatever `udp(data)` yields: bytes, or nothing. `tcp(data)` gives one."""

    udp: Any
    tcp: Any = None
    host: str = "127.0.0.2"
    port: int = 0
    asked: list = field(default_factory=list)  # (data, address of who asks)
    connections: int = 0
    transport: Any = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        pass

    def error_received(self, error):
        pass

    def datagram_received(self, data, address):
        self.asked.append((data, address))
        self.heard.set()
        for answer in self.udp(data):
            self.transport.sendto(answer, address)

    async def until_asked(self, times):
        async with asyncio.timeout(DEADLINE_S):
            while len(self.asked) < times:
                self.heard.clear()
                await self.heard.wait()

    async def serve_tcp(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            answer = self.tcp(await reader.readexactly(length))
            writer.write(struct.pack(">H", len(answer)) + answer)
            await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def upstreams(*all_of_them: Upstream):
    """Each at an address of its own, all at one port."""
    loop = asyncio.get_running_loop()
    port, servers = 0, []
    try:
        for number, upstream in enumerate(all_of_them, 2):
            upstream.host = f"127.0.0.{number}"
            await loop.create_datagram_endpoint(lambda: upstream, local_addr=(upstream.host, port))  # noqa: B023
            port = upstream.port = upstream.transport.get_extra_info("sockname")[1]
            if upstream.tcp:
                servers.append(await asyncio.start_server(upstream.serve_tcp, upstream.host, port))
        yield port
    finally:
        for server in servers:
            server.close()
        for upstream in all_of_them:
            if upstream.transport is not None:
                upstream.transport.close()
