"""A request put to one address, and what comes back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TypeVar

from orion.model.errors import Unavailable
from orion.node.rpc.duplex import Duplex, asking_end
from orion.node.rpc.request import (
    ALIVE,
    CallRequest,
    DuplexRequest,
    SignOfLife,
    StreamRequest,
    decode_answer,
    encode_request,
    patience_s,
    read_of,
)
from orion.ports.peers import Peers

R = TypeVar("R")
S = TypeVar("S")


async def call(peers: Peers, address: str, request: CallRequest[R], *, timeout_s: float) -> R:
    """Raises Unavailable, NotUnderstood, and what the handler there raised."""
    reply = await peers.call(address, encode_request(request), timeout_s=timeout_s)
    return decode_answer(reply, request, address)


async def stream(peers: Peers, address: str, request: StreamRequest[R]) -> AsyncGenerator[R | SignOfLife, None]:
    """Yields the items, and signs of life between. Raises as `call`, and Unavailable after a silence."""
    silence_s = request.silence_s
    first_s = silence_s + patience_s(request) if silence_s and read_of(request) else silence_s
    async with contextlib.aclosing(peers.stream(address, encode_request(request))) as items:
        item = await _next(items, address, first_s)
        while item is not None:
            yield decode_answer(item, request, address) if item else ALIVE
            item = await _next(items, address, silence_s)


@contextlib.asynccontextmanager
async def duplex(peers: Peers, address: str, request: DuplexRequest[R, S]) -> AsyncGenerator[Duplex[S, R], None]:
    """A stream that carries both ways, until the block is left. Raises Unavailable."""
    async with peers.duplex(address, encode_request(request)) as channel:
        yield asking_end(request, channel, address)


async def _next(items: AsyncGenerator[bytes, None], address: str, silence_s: float | None) -> bytes | None:
    try:
        async with asyncio.timeout(silence_s):
            return await anext(items, None)
    except TimeoutError:
        raise Unavailable(f"{address} has said nothing for {silence_s:g} s") from None
