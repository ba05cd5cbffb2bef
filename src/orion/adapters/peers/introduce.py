"""The question who answers at a peer port: the process itself has to answer, not its kernel alone. Nodes of other
clusters are answered too.
"""

import asyncio
from typing import cast

from orion.adapters.peers.dial import connect, unavailable
from orion.adapters.peers.handshake import Greeter
from orion.adapters.peers.tls import Tls
from orion.model.errors import Unavailable
from orion.wire.envelopes import LANE_WHO, Hello, decode_hello, encode_hello
from orion.wire.frames import MAX_HELLO_BYTES, FrameError, FrameReader

HELD_S = 0.1  # a timeout that is noticed so late: this process stood still, and gave nobody the time to answer
TRIES = 3


async def introduction(greeter: Greeter, address: str, *, timeout_s: float, tls: Tls | None = None) -> Hello:
    """Returns the hello of the process at `address`. Raises Unavailable when none answers within `timeout_s` of
    this process's own running, or one that is no node.
    """
    loop, tries_left = asyncio.get_running_loop(), TRIES
    while True:
        tries_left -= 1
        due_s = loop.time() + timeout_s
        try:
            return await _introduction(greeter, address, timeout_s, tls)
        except TimeoutError as error:
            if not tries_left or loop.time() < due_s + HELD_S:
                raise unavailable(address, error) from None
        except (OSError, ValueError) as error:
            raise unavailable(address, error) from None
        except FrameError as error:
            raise Unavailable(f"{address} is no node's peer port: {error}") from None


async def _introduction(greeter: Greeter, address: str, timeout_s: float, tls: Tls | None) -> Hello:
    asker: _Asker | None = None
    try:
        async with asyncio.timeout(timeout_s):
            asker = await connect(lambda: _Asker(greeter), address, tls)
            return await asker.answer
    finally:
        if asker is not None:
            asker.abort()


class _Asker(asyncio.Protocol):
    """Sends a hello and reads one. The connection is used for nothing else."""

    def __init__(self, greeter: Greeter) -> None:
        self._greeter = greeter
        self._reader = FrameReader(MAX_HELLO_BYTES)
        self._transport: asyncio.Transport
        self.answer: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(encode_hello(self._greeter.hello(LANE_WHO)))

    def data_received(self, data: bytes) -> None:
        if self.answer.done():
            return
        self._reader.push(data)
        try:
            if (frame := self._reader.pop()) is not None:
                self.answer.set_result(decode_hello(frame))
        except FrameError as error:
            self.answer.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc if isinstance(exc, OSError) else ConnectionError("it hung up"))

    def abort(self) -> None:
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # marks it as seen, for nobody may wait for it any more
        self._transport.abort()
