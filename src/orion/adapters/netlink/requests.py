"""How each step is carried out: its request, the errors that say that it is done already, and words for others."""

import errno
from collections.abc import Callable
from typing import Any, NamedTuple

from orion.adapters.netlink import link, tables, words
from orion.adapters.netlink.link import Request
from orion.adapters.netlink.socket import Netlink
from orion.reconcile.overlay import (
    AddAddress,
    AddRoute,
    CreateDevice,
    DeleteDevice,
    RemoveAddress,
    RemoveForwarding,
    RemoveNeighbour,
    RemoveRoute,
    SetDevice,
    SetForwarding,
    SetNeighbour,
    Step,
)

NO_DEVICE = frozenset({errno.ENODEV})
_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL})
_THERE = frozenset({errno.EEXIST})
_NEVER: frozenset[int] = frozenset()

Words = Callable[[Netlink, int, Any, OSError], str]


class How(NamedTuple):
    """`request` and `words` are given the index of the device, and the step. "" for words: it is done after all."""

    request: Callable[[int, Any], Request]
    done: frozenset[int]
    words: Words


def _plain(doing: Callable[[Any], str]) -> Words:
    return lambda _netlink, _index, step, error: words.in_words(f"{step.device}: {doing(step)}", error)


HOW: dict[type[Step], How] = {
    DeleteDevice: How(lambda index, _: link.delete(index), NO_DEVICE, _plain(lambda _: "deleting the device")),
    CreateDevice: How(
        lambda _, step: link.create(step.wanted),
        _NEVER,
        lambda netlink, _, step, error: words.of_create(netlink, step.wanted, error),
    ),
    SetDevice: How(
        lambda index, step: link.change(index, step.mtu, step.alias),
        _NEVER,
        _plain(lambda step: f"setting the MTU {step.mtu} and bringing it up"),
    ),
    AddAddress: How(
        lambda index, step: tables.add_address(index, step.address),
        _THERE,
        _plain(lambda step: f"adding the address {step.address}"),
    ),
    RemoveAddress: How(
        lambda index, step: tables.remove_address(index, step.address),
        _GONE,
        _plain(lambda step: f"removing the address {step.address}"),
    ),
    SetNeighbour: How(
        lambda index, step: tables.set_neighbour(index, step.neighbour),
        _NEVER,
        _plain(lambda step: f"setting the MAC of {step.neighbour.address}"),
    ),
    RemoveNeighbour: How(
        lambda index, step: tables.remove_neighbour(index, step.neighbour),
        _GONE,
        _plain(lambda step: f"removing the MAC of {step.neighbour.address}"),
    ),
    SetForwarding: How(
        lambda index, step: tables.set_forwarding(index, step.forwarding),
        _NEVER,
        lambda _netlink, _index, step, error: words.of_forwarding(step.device, step.forwarding, error),
    ),
    RemoveForwarding: How(
        lambda index, step: tables.remove_forwarding(index, step.forwarding),
        _GONE,
        _plain(lambda step: f"forwarding {step.forwarding.mac} to {step.forwarding.underlay} no more"),
    ),
    AddRoute: How(
        lambda index, step: tables.add_route(index, step.route),
        _NEVER,
        lambda netlink, index, step, error: words.of_route(netlink, index, step.route, error),
    ),
    RemoveRoute: How(
        lambda index, step: tables.remove_route(index, step.route),
        _GONE,
        _plain(lambda step: f"removing the route to {step.route.subnet}"),
    ),
}
