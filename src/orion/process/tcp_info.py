"""What the kernel alone knows of a TCP connection: whether the other end still answers, how much it has taken."""

import socket
import struct
from typing import NamedTuple, Protocol

# struct tcp_info (linux/tcp.h): a byte each for state, ca_state, retransmits, probes; bytes_acked, which Linux 4.1
# brought, is at 120.
_TRIES = struct.Struct("=xxBB")
_ACKED = struct.Struct("=120xQ")
# Each try waits twice as long for its answer as the one before: five are six seconds at the least.
GONE_AFTER_TRIES = 5
KEEPALIVE_IDLE_S = 3


class Socket(Protocol):
    """As asyncio's transports give it, too."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


class TcpInfo(NamedTuple):
    """`unanswered`: tries of the kernel in a row, with data or for room, in vain. `taken_bytes` only grows."""

    unanswered: int
    taken_bytes: int

    @property
    def gone(self) -> bool:
        """The other end's host, or the way to it, is gone. One that has no room for more still answers."""
        return self.unanswered >= GONE_AFTER_TRIES


def tcp_info(sock: Socket) -> TcpInfo | None:
    """None where it is no TCP connection, or no longer one."""
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
    except OSError:
        return None
    if len(told) < _ACKED.size:
        return None
    retransmits, probes = _TRIES.unpack_from(told)
    return TcpInfo(max(retransmits, probes), _ACKED.unpack(told)[0])


def keep_alive(sock: socket.socket) -> None:
    """Makes the kernel end the connection, or those that a listener accepts, once the other end's host says nothing
    for some six seconds though asked. It asks only while nothing is on its way: for that there is `tcp_info`.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
