"""Probes: datagrams that are known by their beginning and their number, and sockets that send them whole."""

import secrets
import socket

MAGIC = b"orion probe\n"
NUMBER_BYTES = 8
HEAD_BYTES = len(MAGIC) + NUMBER_BYTES
MAX_BYTES = 65_535
_HEADER_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}  # of IP and UDP
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23  # linux/in.h, linux/in6.h
_PROBE = 3  # IP_PMTUDISC_PROBE: never fragmented, whatever is known of the path


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def made(family: int, size_bytes: int) -> bytes:
    """Returns a probe with a number that nobody can guess, for an IP packet of that size."""
    head = MAGIC + secrets.token_bytes(NUMBER_BYTES)
    return head.ljust(size_bytes - _HEADER_BYTES[socket.AddressFamily(family)], b".")


def is_one(data: bytes) -> bool:
    return len(data) >= HEAD_BYTES and data.startswith(MAGIC)


def packet_bytes(family: int, data_bytes: int) -> int:
    return data_bytes + _HEADER_BYTES[socket.AddressFamily(family)]


def datagram_socket(address: str, port: int = 0) -> socket.socket:
    """A bound socket whose datagrams are never fragmented. Raises OSError."""
    family = family_of(address)
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        level, option = (
            (socket.IPPROTO_IP, _IP_MTU_DISCOVER)
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER)
        )
        sock.setsockopt(level, option, _PROBE)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
