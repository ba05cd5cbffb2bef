"""A session with a container as a WebSocket."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from orion.api.http.asgi import Receive, Scope, Send
from orion.api.http.deadlines import Limits, until_hang_up
from orion.api.http.problems import Mistake, problem
from orion.api.http.upgrade import WebSocket, key_of, upgrade_of
from orion.api.reader import reader_of
from orion.model.api.sessions import EndMessage, ErrorMessage, ExitMessage, FromClient, ResizeMessage
from orion.model.api.websocket import Message, Opcode, Reason
from orion.model.errors import OrionError, Refused
from orion.model.sessions import STDIN, Exited, Input, InputEnd, Resize, Typed, window_fault
from orion.node.services.sessions import Session

log = logging.getLogger(__name__)

PING_S = 3.0  # a client that hears nothing for long takes the node, or the way to it, for gone

_decoder = msgspec.json.Decoder(FromClient)


class SessionSocket:
    """An answer. What goes wrong before the session has begun is a problem document, later an ErrorMessage."""

    def __init__(
        self, limits: Limits, scope: Scope, opening: Callable[[], AbstractAsyncContextManager[Session]]
    ) -> None:
        self._key = key_of(scope)
        self._upgrade = upgrade_of(scope)
        self._limits = limits
        self._opening = opening
        self._socket: WebSocket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            error = await self._run(scope, receive)
        except BaseException:
            if self._socket is not None:
                self._socket.break_off()
            raise
        if self._socket is None:
            await problem(error or Mistake())(scope, receive, send)
        elif error is None:
            await self._socket.close()
        else:
            with contextlib.suppress(OrionError):
                await self._socket.send(Opcode.TEXT, msgspec.json.encode(ErrorMessage(error.code, error.detail)))
            await self._socket.close(Reason.FAILED)

    async def _run(self, scope: Scope, receive: Receive) -> OrionError | None:
        """Returns what cut it short."""
        try:
            async with (
                self._limits.limit(None, waits=True) as deadline,
                until_hang_up(receive, deadline) as group,
                self._opening() as session,
            ):
                socket = self._socket = self._upgrade.accept(self._key)
                reader = reader_of(scope)
                besides = [
                    group.create_task(runner)
                    for runner in (
                        _hear(socket, session.send),
                        _ping(socket),
                        *([reader.watch()] if reader else []),
                    )
                ]
                try:
                    await _tell(socket, session)
                finally:
                    for runner in besides:
                        runner.cancel()
        except OrionError as error:
            return error
        except Exception:
            log.exception("%s %s broke off", scope["method"], scope["path"])
            return Mistake()
        return None


async def _tell(socket: WebSocket, session: Session) -> None:
    while True:
        said = await session.receive()
        if isinstance(said, Exited):
            await socket.send(Opcode.TEXT, msgspec.json.encode(ExitMessage(said.code)))
            return
        await socket.send(Opcode.BINARY, bytes((said.stream,)) + said.data)


async def _hear(socket: WebSocket, send: Callable[[Typed], Awaitable[None]]) -> None:
    while (message := await socket.receive()) is not None:
        await send(_typed(message))
    raise Refused("the client closed the session")


def _typed(message: Message) -> Typed:
    """Raises Refused."""
    if message.opcode is Opcode.BINARY:
        if message.data[:1] != bytes((STDIN,)):
            raise Refused("a binary message begins with the byte of its stream, and a client's is 0")
        return Input(message.data[1:])
    try:
        said = _decoder.decode(message.data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refused(f"a text message of a session is not understood: {error}") from None
    match said:
        case EndMessage():
            return InputEnd()
        case ResizeMessage(columns, rows):
            if fault := window_fault(columns, rows):
                raise Refused(fault)
            return Resize(columns, rows)


async def _ping(socket: WebSocket) -> None:
    while True:
        await asyncio.sleep(PING_S)
        await socket.send(Opcode.PING, b"")
