"""The first of several nodes that takes a connection."""

import contextlib
import selectors
import socket
import time
from collections.abc import Sequence

from orion.client.transport import parse_address
from orion.model.errors import Refused
from orion.model.node import hosts_meant

MOST = 8  # asked at once


def first_that_answers(addresses: Sequence[str], within_s: float, *, ahead_s: float = 0.0) -> str:
    """Returns the address that takes a connection first, of the first MOST; "" when none does in that time. The
    very first has a start of `ahead_s`, unless it refuses. Names of hosts are looked up before, which the time does
    not bound.
    """
    first, others = list(addresses[:1]), list(addresses[1:MOST])
    now_s = time.monotonic()
    deadline_s, turn_s = now_s + within_s, now_s + ahead_s
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        _begin(first, stack, selector)
        while (now_s := time.monotonic()) < deadline_s:
            if others and (now_s >= turn_s or not selector.get_map()):
                _begin(others, stack, selector)
                others = []
            if not selector.get_map():
                return ""
            for key, _ in selector.select((turn_s if others else deadline_s) - now_s):
                assert isinstance(key.fileobj, socket.socket)
                if not key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return str(key.data)
                selector.unregister(key.fileobj)
    return ""


def _begin(addresses: Sequence[str], stack: contextlib.ExitStack, selector: selectors.BaseSelector) -> None:
    """Begins to connect with each. Those that fail at once are passed over."""
    for address in addresses:
        for family, where in _places(address):
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setblocking(False)
            try:
                sock.connect(where)
            except BlockingIOError:
                selector.register(sock, selectors.EVENT_WRITE, address)
            except OSError:
                continue
            else:
                selector.register(sock, selectors.EVENT_WRITE, address)


def _places(address: str) -> list[tuple[int, tuple[object, ...]]]:
    try:
        host, port = parse_address(address)
        found = [
            each for meant in hosts_meant(host) for each in socket.getaddrinfo(meant, port, type=socket.SOCK_STREAM)
        ]
    except (OSError, Refused):
        return []
    return [(family, where) for family, _, _, _, where in found]
