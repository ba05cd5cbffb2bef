"""A stream from a voter, for who does not follow the cluster's log."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from orion.model.errors import Unavailable
from orion.model.ids import NodeId
from orion.node.membership.directory import Directory
from orion.ports.peers import Peers

T = TypeVar("T")


async def from_a_voter(
    request: bytes,
    decode: Callable[[bytes, str], T],
    *,
    me: NodeId,
    directory: Directory,
    peers: Peers,
    silence_s: float | None = None,
) -> AsyncGenerator[T, None]:
    """What `decode` makes of each item and its sender's address; empty items are signs of life. The next voter is
    asked only where one has sent nothing else yet. Raises Unavailable.
    """
    last = Unavailable("no voter of the cluster is known yet")
    for seen in directory.voters(given_up=True):
        if seen.member.node == me:
            continue
        address, begun = seen.facts.peer_address, False
        stream = peers.stream(address, request)
        try:
            while (item := await _next(stream, address, silence_s)) is not None:
                if item:
                    decoded = decode(item, address)
                    begun = True
                    yield decoded
        except Unavailable as error:
            if begun:
                raise
            last = error
        else:
            return
        finally:
            await stream.aclose()
    raise last


async def _next(stream: AsyncGenerator[bytes, None], address: str, silence_s: float | None) -> bytes | None:
    try:
        async with asyncio.timeout(silence_s):
            return await anext(stream, None)
    except TimeoutError:
        raise Unavailable(f"{address} has said nothing for {silence_s:g} s") from None
