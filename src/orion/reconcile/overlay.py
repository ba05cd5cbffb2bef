"""Compares the overlay that a node wants with what its kernel has, and returns the steps from one to the other.

A device is made anew when it differs in what can't be changed: VNI, port, local address, MAC, learning. All else is
changed in place. A route comes after the neighbour and the forwarding that it needs, and goes before them.

A MAC whose underlay moved is forwarded to the new one by a replacement, so that it is never without one. What is
too much is removed by MAC and underlay: peers may share an underlay, and a flooded MAC has several.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from orion.model.overlay import (
    NOTHING,
    Forwarding,
    FoundDevice,
    Neighbour,
    OverlayDevice,
    OverlayState,
    Peer,
    Route,
)

_T = TypeVar("_T", Neighbour, Forwarding, Route)


class DeleteDevice(msgspec.Struct, frozen=True):
    """Delete the device, with all addresses, neighbours, forwarding and routes that it has."""

    device: str


class CreateDevice(msgspec.Struct, frozen=True):
    """Create the device, which is down, and has neither address nor alias."""

    device: str
    wanted: OverlayDevice


class SetDevice(msgspec.Struct, frozen=True):
    """Set MTU and alias, and bring the device up."""

    device: str
    mtu: int
    alias: str


class AddAddress(msgspec.Struct, frozen=True):
    device: str
    address: str


class RemoveAddress(msgspec.Struct, frozen=True):
    device: str
    address: str


class SetNeighbour(msgspec.Struct, frozen=True):
    device: str
    neighbour: Neighbour


class RemoveNeighbour(msgspec.Struct, frozen=True):
    device: str
    neighbour: Neighbour


class SetForwarding(msgspec.Struct, frozen=True):
    """Have the MAC forwarded there, and no longer where it is forwarded to now: the kernel keeps one underlay for
    the MAC of a host.
    """

    device: str
    forwarding: Forwarding


class RemoveForwarding(msgspec.Struct, frozen=True):
    device: str
    forwarding: Forwarding


class AddRoute(msgspec.Struct, frozen=True):
    """Add the route, whose gateway counts as on the link."""

    device: str
    route: Route


class RemoveRoute(msgspec.Struct, frozen=True):
    device: str
    route: Route


Step = (
    DeleteDevice
    | CreateDevice
    | SetDevice
    | AddAddress
    | RemoveAddress
    | RemoveRoute
    | RemoveNeighbour
    | SetNeighbour
    | SetForwarding
    | RemoveForwarding
    | AddRoute
)

# Addresses are added first: the kernel drops all routes of a device that has lost its last address.
ORDER: tuple[type[Step], ...] = (
    DeleteDevice,
    CreateDevice,
    SetDevice,
    AddAddress,
    RemoveAddress,
    RemoveRoute,
    RemoveNeighbour,
    SetNeighbour,
    SetForwarding,
    RemoveForwarding,
    AddRoute,
)
_RANK = {kind: rank for rank, kind in enumerate(ORDER)}


def steps(wanted: OverlayDevice, peers: Sequence[Peer], state: OverlayState) -> list[Step]:
    """Returns what is to be done, in its order; nothing when the state is as it is wanted."""
    found: list[Step] = []
    if state.device is None or not _can_become(state.device, wanted):
        found += [DeleteDevice(wanted.name)] if state.device else []
        found.append(CreateDevice(wanted.name, wanted))
        state = NOTHING
    found += _contents(wanted, peers, state)
    return sorted(found, key=lambda step: _RANK[type(step)])


def _can_become(found: FoundDevice, wanted: OverlayDevice) -> bool:
    """Returns whether the device is, in what can't be changed, as it is wanted."""
    fixed = (found.vni, found.port, found.local, found.mac, found.learning)
    return fixed == (wanted.vni, wanted.port, _canonical(wanted.local), wanted.mac.lower(), False)


def _contents(wanted: OverlayDevice, peers: Sequence[Peer], state: OverlayState) -> Iterator[Step]:
    name, found = wanted.name, state.device
    if found is None or (found.mtu, found.alias, found.up) != (wanted.mtu, wanted.alias, True):
        yield SetDevice(name, wanted.mtu, wanted.alias)
    addresses = {f"{wanted.address}/32"}
    neighbours = {Neighbour(peer.gateway, peer.mac.lower()) for peer in peers}
    forwarding = {Forwarding(peer.mac.lower(), _canonical(peer.underlay)) for peer in peers}
    routes = {Route(peer.subnet, peer.gateway) for peer in peers}
    gateways = {peer.gateway for peer in peers}
    yield from (AddAddress(name, each) for each in sorted(addresses - state.addresses))
    yield from (RemoveAddress(name, each) for each in sorted(state.addresses - addresses))
    yield from (RemoveRoute(name, each) for each in _sorted(state.routes - routes))
    gone = {each for each in state.neighbours if each.address not in gateways}  # one with another MAC is replaced
    yield from (RemoveNeighbour(name, each) for each in _sorted(gone))
    yield from (SetNeighbour(name, each) for each in _sorted(neighbours - state.neighbours))
    missing = forwarding - state.forwarding
    replaced = {each.mac for each in missing}
    yield from (SetForwarding(name, each) for each in _sorted(missing))
    much = {each for each in state.forwarding - forwarding if each.mac not in replaced}
    yield from (RemoveForwarding(name, each) for each in _sorted(much))
    yield from (AddRoute(name, each) for each in _sorted(routes - state.routes))


def _sorted(found: Iterable[_T]) -> list[_T]:
    """Returns them in an order that is the same everywhere."""
    return sorted(found, key=msgspec.structs.astuple)


def _canonical(address: str) -> str:
    """Returns an address of a host as the kernel's tools print it. What is no address stays as it is."""
    if ":" not in address:
        return address
    import ipaddress

    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return address
