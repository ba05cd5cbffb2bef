"""Packets as they arrive at this host, before its filters: packet sockets (AF_PACKET), each with a filter in the
kernel that lets through what one node sent. They need CAP_NET_RAW.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from orion.adapters.reach import probe
from orion.adapters.reach.packet_filter import Bytes, let_through
from orion.model.reach import CHECK_PORT

TURN = 64  # packets, then others have their turn
_KEPT_BYTES = 1  # of each: its size is what matters
_IP, _IPV6 = 0x0800, 0x86DD  # ETH_P_…
_BUFFER_BYTES = 64 << 10
_UDP = bytes([socket.IPPROTO_UDP])


class Capture:
    """The sizes of packets, the largest of each kind; 0 where none came."""

    def __init__(self) -> None:
        self.vxlan = self.plain = self.inner = 0

    @contextlib.contextmanager
    def listening(self, underlay: str, vxlan_port: int, inner: str, device: str) -> Iterator[None]:
        """Looks at packets from `underlay` to this host, and from `inner` by the device. Raises OSError."""
        with contextlib.ExitStack() as stack:
            for kind, sock in (
                ("vxlan", _from(underlay, port=vxlan_port)),
                ("plain", _from(underlay, port=CHECK_PORT)),
                ("inner", _from(inner, device=device)),
            ):
                stack.enter_context(sock)
                asyncio.get_running_loop().add_reader(sock, self._read, sock, kind)
                stack.callback(asyncio.get_running_loop().remove_reader, sock)
            yield

    def _read(self, sock: socket.socket, kind: str) -> None:
        largest = getattr(self, kind)
        with contextlib.suppress(OSError):
            for _ in range(TURN):
                largest = max(largest, sock.recv_into(bytearray(_KEPT_BYTES), _KEPT_BYTES, socket.MSG_TRUNC))
        setattr(self, kind, largest)
        if kind == "vxlan" and largest:  # one is enough, and there may be very many
            asyncio.get_running_loop().remove_reader(sock)


def _from(source: str, *, port: int = 0, device: str = "") -> socket.socket:
    """A socket for what `source` sends: UDP to a port, or whatever comes by the device. Raises OSError."""
    family = probe.family_of(source)
    kind = _IP if family == socket.AF_INET else _IPV6
    protocol_at, source_at, port_at = (9, 12, 22) if family == socket.AF_INET else (6, 8, 42)
    wanted: list[Bytes] = [(source_at, socket.inet_pton(family, source))]
    if port:
        wanted += [(protocol_at, _UDP), (port_at, port.to_bytes(2, "big"))]
    # By its protocol it receives of all devices: Python knows no name for those in `bind`.
    sock = socket.socket(
        socket.AF_PACKET,
        socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        0 if device else socket.htons(kind),
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        let_through(sock, wanted)
        if device:
            sock.bind((device, kind))
        _empty(sock)
    except OSError:
        sock.close()
        raise
    return sock


def _empty(sock: socket.socket) -> None:
    """Drops what came before the filter was there, which is no more than the buffer holds."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(_BUFFER_BYTES):
            sock.recv_into(bytearray(_KEPT_BYTES), _KEPT_BYTES)
