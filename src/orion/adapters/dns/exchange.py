"""One question to one resolver. Each is asked from a port of its own under a random id, so that whoever wants to
answer in its place has to guess both; the kernel lets in what comes from its address alone.
"""

import asyncio
import secrets
import socket

from orion.adapters.dns.resolvers import Server
from orion.wire.dns.parts import MAX_MESSAGE_BYTES, DnsError
from orion.wire.dns.query import Query, forwarded
from orion.wire.dns.reply import check_reply

MAX_LIES = 16  # answers to something else, before the resolver is given up
_LENGTH_BYTES = 2


async def over_udp(server: Server, query: Query) -> bytes:
    """Returns a reply that was checked. Raises OSError. It waits for as long as it is let."""
    loop = asyncio.get_running_loop()
    ident = secrets.randbits(16)
    with socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        sock.connect(server.address)
        sock.send(forwarded(query, ident))
        for _ in range(MAX_LIES):
            reply = await loop.sock_recv(sock, MAX_MESSAGE_BYTES)
            try:
                check_reply(reply, ident, query)
            except DnsError:
                continue  # a lie may come before the truth
            return reply
    raise OSError(f"{MAX_LIES} answers to something else")


async def over_tcp(server: Server, query: Query) -> bytes:
    """Returns a reply that was checked. Raises OSError. It waits for as long as it is let."""
    loop = asyncio.get_running_loop()
    ident = secrets.randbits(16)
    message = forwarded(query, ident)
    with socket.socket(server.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
        await loop.sock_connect(sock, server.address)
        await loop.sock_sendall(sock, len(message).to_bytes(_LENGTH_BYTES, "big") + message)
        length = int.from_bytes(await _exactly(sock, _LENGTH_BYTES), "big")
        reply = await _exactly(sock, length)
    try:
        check_reply(reply, ident, query)
    except DnsError as error:
        raise OSError(str(error)) from None
    return reply


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = bytearray()
    while len(found) < count:
        more = await loop.sock_recv(sock, count - len(found))
        if not more:
            raise ConnectionResetError("the resolver closes the connection within its answer")
        found += more
    return bytes(found)
