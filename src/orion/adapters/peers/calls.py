"""The call lane: many calls at a time over one connection, each with its own deadline at both ends."""

import asyncio
import logging

from orion.adapters.peers.connection import Connection
from orion.adapters.peers.dial import Dialler
from orion.adapters.peers.runners import Runners
from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.ports.peers import CallHandler
from orion.wire.envelopes import (
    LANE_CALL,
    Call,
    Failure,
    Reply,
    decode_call,
    decode_reply,
    encode_call,
    encode_reply,
    failure_of,
)
from orion.wire.frames import Frame, FrameError, Kind

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 1_024  # on one connection, at either end


class Caller:
    """Calls to one address."""

    def __init__(self, address: str, dialler: Dialler, runners: Runners) -> None:
        self._address = address
        self._dialler = dialler
        self._runners = runners
        self._connection: Connection | None = None
        self._dialling: asyncio.Future[Connection] | None = None
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._last_id = 0

    @property
    def idle(self) -> bool:
        return self._connection is None and self._dialling is None

    async def call(self, body: bytes, timeout_s: float) -> bytes:
        if len(self._pending) >= MAX_IN_FLIGHT:
            raise Unavailable(f"too many calls to {self._address} are under way")
        self._last_id += 1
        identity = self._last_id
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[identity] = reply
        try:
            frame = encode_call(Call(identity, max(1, round(timeout_s * 1000)), body))
            async with asyncio.timeout(timeout_s):
                connection = self._connection or await self._connected()
                connection.write(frame)
                answer = await reply
        except FrameError as error:
            raise TooLarge(f"the request is too large: {error}") from None
        except TimeoutError:
            raise Unavailable(f"{self._address} did not answer within {timeout_s:g} s") from None
        finally:
            del self._pending[identity]
        if answer.failure is not None:
            raise answer.failure.error()
        return answer.body

    async def _connected(self) -> Connection:
        """Returns the connection. All callers that wait share one dial, which goes on when the first gives up."""
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_future()
            if self._runners.spawn(self._dial(self._dialling), f"dial {self._address}") is None:
                self._dialling = None
                raise Unavailable("this node is stopping")
        dialling = self._dialling
        await asyncio.wait([dialling])
        if dialling.cancelled():
            raise Unavailable("this node is stopping")
        if (error := dialling.exception()) is not None:
            raise Unavailable(str(error))
        return dialling.result()

    async def _dial(self, result: "asyncio.Future[Connection]") -> None:
        try:
            connection = await self._dialler.dial(self._address, LANE_CALL)
        except Unavailable as error:
            result.set_exception(error)
            result.exception()  # marks it as seen, for all that waited may have given up
        else:
            connection.on_frame = self._replied
            connection.on_lost = self._lost
            self._connection = connection
            result.set_result(connection)
        finally:
            result.cancel()
            self._dialling = None

    def _replied(self, frame: Frame) -> None:
        if frame.kind != Kind.REPLY:
            raise FrameError("not a reply")
        reply = decode_reply(frame.payload)
        waiting = self._pending.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lost(self) -> None:
        self._connection = None
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(Unavailable(f"the connection to {self._address} broke"))


class CallServer:
    """Calls that came in on one connection."""

    def __init__(self, connection: Connection, on_call: CallHandler, runners: Runners) -> None:
        self._connection = connection
        self._on_call = on_call
        self._runners = runners
        self._running: set[asyncio.Task[None]] = set()
        connection.on_frame = self._called
        connection.on_lost = self._lost

    def _called(self, frame: Frame) -> None:
        if frame.kind != Kind.CALL:
            raise FrameError("not a call")
        call = decode_call(frame.payload)
        if len(self._running) >= MAX_IN_FLIGHT:
            busy = Unavailable("too many calls are under way")
            self._connection.write(encode_reply(Reply(call.id, failure=failure_of(busy))))
            return
        runner = self._runners.spawn(self._answer(call), f"call from {self._connection.hello.node}")
        if runner is not None:
            self._running.add(runner)
            runner.add_done_callback(self._running.discard)

    async def _answer(self, call: Call) -> None:
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                body = await self._on_call(self._connection.principal, call.body)
                frame = encode_reply(Reply(call.id, body))
        except TimeoutError:
            return  # the caller has given up too
        except OrionError as error:
            frame = encode_reply(Reply(call.id, failure=failure_of(error)))
        except FrameError as error:
            frame = encode_reply(Reply(call.id, failure=failure_of(TooLarge(f"the answer is too large: {error}"))))
        except Exception:
            log.exception("a call from %s failed", self._connection.hello.node)
            failure = Failure(OrionError.code, "the other node failed to answer; its log says why")
            frame = encode_reply(Reply(call.id, failure=failure))
        await self._connection.drained()
        self._connection.write(frame)

    def _lost(self) -> None:
        for runner in list(self._running):
            runner.cancel()
