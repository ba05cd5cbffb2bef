"""A list as an answer: bytes that all who ask for it share, given to the connection as its client takes them."""

import asyncio

from orion.api.http.asgi import Receive, Scope, Send
from orion.api.http.deadlines import Limits
from orion.model.errors import Unavailable
from orion.node.rpc.reads import Listing

TAKE_S = 30.0  # for a client to take a chunk of 64 KiB, else it is cut off: all chunks are kept for it


class ListResponse:
    def __init__(self, limits: Limits, listing: Listing) -> None:
        self._limits = limits
        self._listing = listing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        listing = self._listing
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % listing.size_bytes),
            (b"x-orion-index", b"%d" % listing.index),
        ]
        if listing.next:
            headers.append((b"x-orion-next", listing.next.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with self._limits.limit(None):
                if scope["method"] != "HEAD":
                    await self._send_chunks(send)
        except (TimeoutError, Unavailable):
            return  # without its end the body is seen to be cut
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunks(self, send: Send) -> None:
        for chunk in self._listing.chunks:
            await self._limits.sends.passed()
            async with asyncio.timeout(TAKE_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
