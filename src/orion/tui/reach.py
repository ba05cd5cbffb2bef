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


def first_that_answers(addresses: Sequence[str], within_s: float) -> str:
    """Returns the address that takes a connection first, of the first MOST; "" when none does in that time. Names
    of hosts are looked up before, which the time does not bound.
    """
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for address in addresses[:MOST]:
            for family, where in _places(address):
                sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                sock.setblocking(False)
                if _begun(sock, where):
                    selector.register(sock, selectors.EVENT_WRITE, address)
        deadline_s = time.monotonic() + within_s
        while selector.get_map() and (left_s := deadline_s - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                sock = key.fileobj  # type: ignore[assignment]
                if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return str(key.data)
                selector.unregister(sock)
    return ""


def _begun(sock: socket.socket, where: tuple[object, ...]) -> bool:
    """Begins to connect. False: that has failed already."""
    try:
        sock.connect(where)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _places(address: str) -> list[tuple[int, tuple[object, ...]]]:
    try:
        host, port = parse_address(address)
        found = [
            each for meant in hosts_meant(host) for each in socket.getaddrinfo(meant, port, type=socket.SOCK_STREAM)
        ]
    except (OSError, Refused):
        return []
    return [(family, where) for family, _, _, _, where in found]
