"""The kernel's state of a TCP connection: whether the other end still answers, and how much it has acknowledged."""

import socket
import struct
from typing import NamedTuple, Protocol

# struct tcp_info (linux/tcp.h): a byte each for state, ca_state, retransmits, probes; bytes_acked, which Linux 4.1
# brought, is at 120.
_STATE_AND_TRIES = struct.Struct("=BxBB")
_ACKED = struct.Struct("=120xQ")
# Each try waits twice as long for an answer as the one before: five take at least six seconds.
GONE_AFTER_TRIES = 5
KEEPALIVE_IDLE_S = 3

_ESTABLISHED, _CLOSE, _CLOSE_WAIT = 1, 7, 8  # linux/tcp_states.h


class Socket(Protocol):
    """A socket, or asyncio's TransportSocket."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


class TcpInfo(NamedTuple):
    """The state of a connection. `unanswered` is the kernel's number of tries in a row without an answer, with data
    or to ask for room. `taken_bytes` are acknowledged ones, and only grow.
    """

    unanswered: int
    taken_bytes: int
    state: int = _ESTABLISHED

    @property
    def hung_up(self) -> bool:
        """True when the other end has closed its half, or all, of the connection. Who reads finds that out anyway,
        once all that came before is read.
        """
        return self.state in {_CLOSE, _CLOSE_WAIT}

    @property
    def gone(self) -> bool:
        """True when the other end's host, or the way to it, is gone. A host without room for more still answers."""
        return self.unanswered >= GONE_AFTER_TRIES


def tcp_info(sock: Socket) -> TcpInfo | None:
    """Returns the state of a connection; None when `sock` is no TCP connection, or no longer one."""
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
    except (OSError, ValueError):  # ValueError: it is closed, and the loop is uvloop
        return None
    if len(told) < _ACKED.size:
        return None
    state, retransmits, probes = _STATE_AND_TRIES.unpack_from(told)
    return TcpInfo(max(retransmits, probes), _ACKED.unpack(told)[0], state)


def keep_alive(sock: socket.socket) -> None:
    """Makes the kernel end the connection, or those that a listener accepts, once the other end's host has not
    answered probes for some six seconds. The kernel probes only while no data is on its way; `tcp_info` covers the
    rest.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
