"""Packets from within network namespaces, without a process in them."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from support.lab import set_namespace

_ECHO_REPLY, _UNREACHABLE, _ECHO = 0, 3, 8
_FRAGMENTATION_NEEDED = 4
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3  # always with "don't fragment", whatever is known of the path
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_IP_HEADER_BYTES = 20


def socket_in(namespace: str, *kind: int) -> socket.socket:
    """Opens a socket in a namespace: one of `ip netns`, or that of a file (/proc/PID/ns/net)."""
    with (
        Path("/proc/thread-self/ns/net").open("rb") as before,
        Path("/var/run/netns", namespace).open("rb") as there,
    ):
        set_namespace(there.fileno())
        try:
            return socket.socket(*kind)
        finally:
            set_namespace(before.fileno())


def netlink_in(namespace: str) -> Callable[[], socket.socket]:
    return lambda: socket_in(namespace, socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)


def ping(namespace: str, address: str, payload_bytes: int = 56, *, within_s: float = 20.0) -> str:
    """Asks, with packets that may not be fragmented, until there is an answer: "reply", or "too large" from a host
    on the way or from the kernel here. "" when there is none within the time.
    """
    identifier = os.getpid() & 0xFFFF
    with socket_in(namespace, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asker:
        asker.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        until = time.monotonic() + within_s
        sequence = 0
        while time.monotonic() < until:
            sequence += 1
            try:
                asker.sendto(_echo(identifier, sequence, payload_bytes), (address, 0))
            except OSError as error:
                if error.errno == 90:  # EMSGSIZE
                    return "too large"
            if answer := _answer(asker, identifier, min(until, time.monotonic() + 0.3)):
                return answer
    return ""


def _answer(asker: socket.socket, identifier: int, until: float) -> str:
    while (left := until - time.monotonic()) > 0:
        if not select.select([asker], [], [], left)[0]:
            continue
        packet = asker.recv(65_536)[_IP_HEADER_BYTES:]
        kind, code, _, found, _ = _HEADER.unpack_from(packet)
        if (kind, found) == (_ECHO_REPLY, identifier):
            return "reply"
        if (kind, code) == (_UNREACHABLE, _FRAGMENTATION_NEEDED):
            return "too large"
    return ""


def _echo(identifier: int, sequence: int, payload_bytes: int) -> bytes:
    payload = bytes(payload_bytes)
    head = _HEADER.pack(_ECHO, 0, 0, identifier, sequence)
    total = sum(struct.unpack("!4H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return _HEADER.pack(_ECHO, 0, ~total & 0xFFFF, identifier, sequence) + payload
