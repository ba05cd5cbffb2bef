"""Ports that are open on every node, and the tasks behind them."""

import msgspec

from orion.model.ids import NodeId


class PublishedPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A task that has not ended, and what its container listens on. New connections go to it while it is `ready`;
    those that are there stay.
    """

    ip: int
    port: int
    node: NodeId
    ready: bool


class PublishedPort(msgspec.Struct, frozen=True, array_like=True):
    port: int
    protocol: str
    sticky: bool
    places: tuple[PublishedPlace, ...]


Ports = tuple[PublishedPort, ...]
