"""Sockets of a name server."""

import errno
import socket
import struct

BACKLOG = 64
FREE_PORT_TRIES = 20
# Until a flood is noticed it has the room of others: 1 MB is 1,300 messages.
QUEUE_BYTES = 1024 * 1024
_SO_RCVBUFFORCE, _SO_MEMINFO = 33, 55  # linux/asm-generic/socket.h
_MEMINFO = struct.Struct("=9I")


def open_both(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """By UDP and by TCP. A free port by UDP may be taken by TCP. Raises OSError."""
    for left in range(FREE_PORT_TRIES, -1, -1):
        udp = _bound(host, port, socket.SOCK_DGRAM)
        try:
            return udp, _bound(host, udp.getsockname()[1], socket.SOCK_STREAM)
        except OSError as error:
            udp.close()
            if port or not left or error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("unreachable")


def another(udp: socket.socket) -> socket.socket:
    """One more at the same address, with a queue of its own. Raises OSError."""
    sock = socket.socket(udp.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    return _at(sock, udp.getsockname())


def lost(udp: socket.socket) -> int:
    """Returns how many messages the kernel has dropped, for a full queue or by a filter, modulo 2³²."""
    try:
        return int(_MEMINFO.unpack(udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
    except (OSError, struct.error):  # before Linux 4.12
        return 0


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=kind, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )[0]
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    _at(sock, address)
    if kind == socket.SOCK_STREAM:
        return sock
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):  # beyond the machine's limit, where that may be
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, QUEUE_BYTES // 2)  # the kernel doubles it
            break
        except OSError:
            continue
    return sock


def _at(sock: socket.socket, address: tuple[str | int | bytes, ...]) -> socket.socket:
    """Raises OSError; then it is closed."""
    stream = sock.type == socket.SOCK_STREAM
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if stream else socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        if stream:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
