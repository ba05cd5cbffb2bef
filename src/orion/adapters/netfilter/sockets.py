"""Netlink sockets to the kernel's netfilter."""

import socket

GROUP_NFTABLES = 7
_NETLINK_NETFILTER = 12


def open_netfilter() -> socket.socket:
    """Raises OSError."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
