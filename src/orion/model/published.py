"""Told to all nodes with a network: the tasks behind the ports of every node, and the addresses of jobs that
`allow_from` is about.
"""

import msgspec

from orion.model.ids import JobName, NodeId


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


class JobAddresses(msgspec.Struct, frozen=True, array_like=True):
    """All addresses of a job's tasks that have not ended, sorted."""

    job: JobName
    addresses: tuple[int, ...]


class Told(msgspec.Struct, frozen=True):
    """`allowed`: jobs that others name in `allow_from`, and those that name some, by name."""

    ports: Ports = ()
    allowed: tuple[JobAddresses, ...] = ()
