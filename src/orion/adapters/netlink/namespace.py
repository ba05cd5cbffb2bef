"""Routes in another network namespace: a container's. It blocks, and is for a thread."""

import os
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from orion.adapters.netlink import tables
from orion.adapters.netlink.socket import Netlink, open_socket
from orion.model.overlay import Route
from orion.reconcile.container_routes import surplus

_CLONE_NEWNET = 0x40000000
_ENTER_S = 5.0

_T = TypeVar("_T")


def route_container(pid: int, routes: Sequence[Route]) -> None:
    """As OverlayKernel has it. Raises OSError."""
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if os.path.samestat(Path("/proc/self/ns/net").stat(), os.fstat(namespace)):
            raise OSError(f"process {pid} is in this host's own network, and no container's first")
        opened = _entered(namespace, open_socket)
    finally:
        os.close(namespace)
    with Netlink(lambda: opened) as netlink:
        _route(netlink, routes)


def _route(netlink: Netlink, routes: Sequence[Route]) -> None:
    addresses = [tables.read_address(each.body) for each in netlink.dump(tables.get_addresses())]
    found = [tables.read_route(each.body) for each in netlink.dump(tables.get_routes_of_main())]
    there = [route for each in found if each is not None for route in [each]]
    links = {route.gateway: _link(addresses, route.gateway) for route in routes}
    has = {route for _, route in there}
    changes = [tables.put_route(links[route.gateway], route) for route in routes if route not in has]
    gone = set(surplus(routes, has))
    changes += [tables.remove_route(index, route) for index, route in there if route in gone]
    errors = [error for error in netlink.do(changes) if error is not None] if changes else []
    if errors:
        raise errors[0]


def _link(addresses: Sequence[tables.Address], gateway: str) -> int:
    """Returns the interface whose subnet has the gateway."""
    for each in addresses:
        if ":" not in each.address and ip_address(gateway) in ip_network(
            f"{each.address}/{each.length}", strict=False
        ):
            return each.index
    raise OSError(f"no interface of the container is on the network of {gateway}")


def _entered(namespace: int, make: Callable[[], _T]) -> _T:
    """Returns what `make` makes in the namespace, in a thread that ends there: none that is used again is left in a
    network that is not its own.
    """
    made: list[_T] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            _set_namespace(namespace)
            made.append(make())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="enter-namespace", daemon=True)
    thread.start()
    thread.join(_ENTER_S)
    if not made:
        raise failed[0] if failed else TimeoutError("the namespace was not entered")
    return made[0]


def _set_namespace(namespace: int) -> None:
    # Loaded with the first namespace that is entered: half a megabyte.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
