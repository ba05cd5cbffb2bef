"""A node that has taken a request and says nothing: one that stands still, or whose host has vanished, is told from
one that takes its time.
"""

import select
import socket
import time

LOOK_S = 2.0  # of silence, after which a node is asked whether it lives
PROBE_S = 2.0
# What the kernel does of itself, so that a host that has vanished is noticed while we wait for what it says: after
# so much silence it asks the other kernel, each second. Unanswered for so long, as what we send, is the end.
KEEPALIVE_S = 2
VANISHED_MS = 5_000
_PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Silent(Exception):
    """The node stands still. The kernel of its host takes connections for it all the same."""


def await_answer(sock: socket.socket, within_s: float) -> None:
    """Returns once there is something to read. Raises Silent; TimeoutError when a node that lives has not answered
    within that time.
    """
    ends_s = time.monotonic() + within_s
    while (left_s := ends_s - time.monotonic()) > 0:
        if _readable(sock, min(LOOK_S, left_s)):
            return
        if not lives(sock):
            raise Silent
    raise TimeoutError


def lives(sock: socket.socket) -> bool:
    """Returns whether whoever is at the other end of this connection answers a new one."""
    try:
        with socket.socket(sock.family, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_S)
            probe.connect(sock.getpeername())
            probe.sendall(_PROBE)
            return bool(probe.recv(1))
    except OSError:
        return False


def _readable(sock: socket.socket, within_s: float) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], within_s)[0])
    poll = select.poll()  # takes descriptors of any number
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def notice_vanishing(sock: socket.socket) -> None:
    """Makes reading fail once the other end's kernel says nothing any more."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", VANISHED_MS // 1000 - KEEPALIVE_S),
        ("TCP_USER_TIMEOUT", VANISHED_MS),
    ):
        if hasattr(socket, option):  # not everywhere that a client runs
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
