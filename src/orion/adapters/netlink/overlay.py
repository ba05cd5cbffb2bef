"""The OverlayKernel port on netlink."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from orion.adapters.netlink import changes, codec, link, namespace, tables
from orion.adapters.netlink.link import Link, Request
from orion.adapters.netlink.requests import HOW, NO_DEVICE
from orion.adapters.netlink.socket import Netlink, OpenSocket, open_socket
from orion.adapters.netlink.words import in_words
from orion.model.overlay import NOTHING, OverlayState, Route
from orion.ports.overlay import NoSuchUnderlay, OverlayFailed
from orion.reconcile.overlay import CreateDevice, DeleteDevice, Step

ANSWER_S = 10.0  # of a call; the exchanges in it have deadlines of their own
MAX_READS = 3  # of a device that is deleted while it is read

_T = TypeVar("_T")
_ALONE = (DeleteDevice, CreateDevice)


class NetlinkOverlay:
    """Each call has a socket and a thread of its own, one call at a time: one that nobody waits for any more may
    still wait in the kernel. `opened` opens sockets, in the network namespace that is meant.
    """

    def __init__(self, opened: OpenSocket = open_socket) -> None:
        self._open = opened
        self._links: dict[str, int] = {}  # those that were read, whose neighbours matter
        self._turn = asyncio.Lock()

    async def read(self, name: str) -> OverlayState:
        index, state = await self._off_loop(f"reading {name}", functools.partial(_read, name))
        self._links[name] = index
        return state

    async def carry_out(self, steps: Sequence[Step]) -> None:
        if steps:
            words = f"changing {steps[0].device}"
            await self._off_loop(words, functools.partial(_carry_out, steps))

    async def underlay_mtu(self, address: str) -> int:
        words = f"looking for the interface with {address}"
        return await self._off_loop(words, functools.partial(_underlay_mtu, address))

    async def changes(self) -> AsyncGenerator[None, None]:
        try:
            async with aclosing(changes.changes(self._open, self._links.values())) as told:
                async for _ in told:
                    yield
        except OSError as error:
            raise OverlayFailed(in_words("learning of changes of this host's network", error)) from error

    async def devices(self) -> dict[str, str]:
        return await self._off_loop("listing the devices", _devices)

    async def route_container(self, pid: int, routes: Sequence[Route]) -> None:
        words = f"routing in the network of process {pid}"
        await self._off_loop(words, lambda _: namespace.route_container(pid, routes))

    async def remove(self, name: str) -> None:
        await self._off_loop(f"removing {name}", functools.partial(_remove, name))

    async def _off_loop(self, words: str, work: Callable[[Netlink], _T]) -> _T:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._turn.acquire()
                running = asyncio.get_running_loop().run_in_executor(None, self._with_socket, work)
                running.add_done_callback(lambda _: self._turn.release())
                return await asyncio.shield(running)
        except TimeoutError:
            raise OverlayFailed(
                f"{words}: the kernel has not answered within {ANSWER_S:g} s. Something else on this machine may "
                "be changing its network all the while"
            ) from None
        except (OSError, codec.Malformed) as error:
            raise OverlayFailed(in_words(words, error)) from error

    def _with_socket(self, work: Callable[[Netlink], _T]) -> _T:
        with Netlink(self._open) as netlink:
            return work(netlink)


# --- in the thread ---------------------------------------------------------------------------------------


def _read(name: str, netlink: Netlink) -> tuple[int, OverlayState]:
    for _ in range(MAX_READS - 1):
        try:
            return _read_once(name, netlink)
        except OSError as error:
            if error.errno not in NO_DEVICE:
                raise
    return _read_once(name, netlink)


def _read_once(name: str, netlink: Netlink) -> tuple[int, OverlayState]:
    """Raises OSError when the device is deleted meanwhile."""
    found = _device(netlink, name)
    if found is None:
        return 0, NOTHING
    index = found.index
    addresses = [tables.read_address(each.body) for each in netlink.dump(tables.get_addresses(index))]
    neighbours = _of_link(netlink, tables.get_neighbours(index), index)
    forwarding = _of_link(netlink, tables.get_forwarding(index), index)
    routes = [tables.read_route(each.body) for each in netlink.dump(tables.get_routes(index))]
    state = OverlayState(
        device=found.vxlan,
        addresses=frozenset(f"{each.address}/{each.length}" for each in addresses if each.index == index),
        neighbours=frozenset(filter(None, map(tables.read_neighbour, neighbours))),
        forwarding=frozenset(filter(None, map(tables.read_forwarding, forwarding))),
        routes=frozenset(each[1] for each in routes if each and each[0] == index),
    )
    return index, state


def _carry_out(steps: Sequence[Step], netlink: Netlink) -> None:
    failed = ""
    for part in _parts(steps):
        words = _carry_out_part(netlink, part)
        failed = failed or words
    if failed:
        raise OverlayFailed(failed)


def _underlay_mtu(address: str, netlink: Netlink) -> int:
    all_addresses = (tables.read_address(each.body) for each in netlink.dump(tables.get_addresses()))
    found = [each for each in all_addresses if each.address == address]
    if not found:
        raise NoSuchUnderlay(
            f"no interface of this host has the address {address}, over which other nodes are to reach its "
            "containers: give the node an address that the host has"
        )
    usable = [each for each in found if each.usable]
    if not usable:
        raise NoSuchUnderlay(
            f"{address} can't be used: the kernel still looks for another host that has it, or has found one"
        )
    return min(link.read(netlink.one(link.get_by_index(each.index)).body).mtu for each in usable)


def _remove(name: str, netlink: Netlink) -> None:
    found = _device(netlink, name)
    if found is None:
        return
    (error,) = netlink.do([link.delete(found.index)])
    if error and error.errno not in NO_DEVICE:
        raise error


def _devices(netlink: Netlink) -> dict[str, str]:
    found = (link.read(each.body) for each in netlink.dump(link.get_all()))
    return {each.name: each.vxlan.alias for each in found if each.vxlan is not None}


def _device(netlink: Netlink, name: str) -> Link | None:
    """Raises OverlayFailed for a device of another kind."""
    try:
        found = link.read(netlink.one(link.get(name)).body)
    except OSError as error:
        if error.errno in NO_DEVICE:
            return None
        raise
    if found.vxlan is None:
        kind = f"of the kind {found.kind}" if found.kind else "real"
        raise OverlayFailed(f"{name} is the name of a device that is {kind}, and not VXLAN: rename or remove it")
    return found


def _of_link(netlink: Netlink, request: Request, index: int) -> list[memoryview]:
    bodies = (each.body for each in netlink.dump(request))
    return [body for body in bodies if tables.neighbour_link(body) == index]


def _parts(steps: Sequence[Step]) -> list[list[Step]]:
    """Divides steps where the device's index changes: each part is about one device, which is there or is not."""
    parts: list[list[Step]] = []
    for step in steps:
        if (
            not parts
            or isinstance(step, _ALONE)
            or parts[-1][0].device != step.device
            or isinstance(parts[-1][0], _ALONE)
        ):
            parts.append([])
        parts[-1].append(step)
    return parts


def _carry_out_part(netlink: Netlink, steps: Sequence[Step]) -> str:
    """Returns what failed first, in words; "" when nothing did."""
    name, index = steps[0].device, 0
    if not isinstance(steps[0], CreateDevice):
        found = _device(netlink, name)
        if found is None:
            return "" if isinstance(steps[0], DeleteDevice) else f"the device {name} is not there any more"
        index = found.index
    built, failed = _requests(index, steps)
    results = netlink.do([request for _, request in built])
    for (step, _), error in zip(built, results, strict=True):
        how = HOW[type(step)]
        if error and error.errno not in how.done and (words := how.words(netlink, index, step, error)):
            return words
    return failed


def _requests(index: int, steps: Sequence[Step]) -> tuple[list[tuple[Step, Request]], str]:
    """Returns the steps with their requests, but for those with addresses that are none; and words about the first
    of these.
    """
    built: list[tuple[Step, Request]] = []
    failed = ""
    for step in steps:
        try:
            built.append((step, HOW[type(step)].request(index, step)))
        except (OSError, ValueError) as error:
            failed = failed or f"{step.device}: {step} has an address, a MAC or a length that is none: {error}"
    return built, failed
