"""Requests between nodes, as whoever listens on the wire reads them."""

from collections.abc import Iterator
from typing import Any, Union

import msgspec

import orion.node.node  # noqa: F401 -- with it, all requests are declared
from orion.node.rpc.request import CallRequest, DuplexRequest, ListRequest, Request, StreamRequest


def declared(kind: type[Request[Any]] = Request) -> Iterator[type[Request[Any]]]:
    """All requests of the project."""
    for below in kind.__subclasses__():
        if below in (CallRequest, ListRequest, StreamRequest, DuplexRequest):
            yield from declared(below)
        elif below.__module__.startswith("orion."):
            yield below


def decode_request(body: bytes) -> Request[Any]:
    found: Request[Any] = msgspec.msgpack.decode(body, type=Union[tuple(declared())])  # noqa: UP007
    return found
