"""One call to a plugin: within its deadline, in messages of bounded size, failing in words."""

import asyncio
import struct
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from grpclib.client import Channel, Stream
from grpclib.const import Cardinality
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.metadata import Deadline
from grpclib.protocol import H2Protocol
from multidict import MultiDict

from orion.adapters.csi.failures import Call
from orion.model.secret_values import NO_SECRETS, SecretValues
from orion.wire.csi.methods import METHODS

M = TypeVar("M", bound=Message)
R = TypeVar("R")

MAX_MESSAGE_BYTES = 4 << 20  # gRPC's own default
SHORT_S = 10.0
LONG_S = 120.0
DEADLINES_S = {
    name: LONG_S if method.service != "Identity" and "Capabilities" not in name else SHORT_S
    for name, method in METHODS.items()
} | {"NodeGetInfo": SHORT_S, "ValidateVolumeCapabilities": LONG_S}
# What grpclib raises where a plugin does not keep to HTTP/2 or gRPC, or ends in the middle of an answer.
_BROKEN = (StreamTerminatedError, ProtocolError, OSError)
_MALFORMED = (DecodeError, NotImplementedError, AssertionError, ValueError, LookupError, struct.error)


class _TooLarge(Exception):
    pass


class _BoundedStream(Stream[Any, Any]):
    """grpclib's own reads as much as the other side announces."""

    async def recv_message(self) -> Any:
        if not self._recv_initial_metadata_done:
            await self.recv_initial_metadata()
        with self._wrapper:
            head = await self._stream.recv_data(5)
            if not head:
                return None
            compressed, size = struct.unpack(">BI", head)
            if compressed:
                raise NotImplementedError("a compressed message that nobody asked for")
            if size > MAX_MESSAGE_BYTES:
                raise _TooLarge(f"a message of {size:,} bytes, of which {MAX_MESSAGE_BYTES:,} are the most")
            return self._codec.decode(await self._stream.recv_data(size), self._recv_type)


class _Channel(Channel):
    """grpclib's own keeps a connection that comes about once it was closed."""

    _closed = False

    async def _create_connection(self) -> H2Protocol:
        protocol = await super()._create_connection()
        if self._closed:
            protocol.processor.close()
            raise ConnectionResetError("the connection was closed while it was made")
        return protocol

    def close(self) -> None:
        self._closed = True
        super().close()


async def _in_a_task_of_its_own(exchange: Coroutine[Any, Any, R], within_s: float) -> R:
    """Grpclib cancels the task that waits for an answer when the connection is lost, and has an error come of that:
    a real cancellation at the same time would be swallowed. Raises TimeoutError, ConnectionResetError.
    """
    task = asyncio.create_task(exchange, name="csi-call")
    try:
        _, late = await asyncio.wait({task}, timeout=within_s)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # else asyncio reports one that nobody looks at
    if late:
        raise TimeoutError
    if task.cancelled():
        raise ConnectionResetError("the connection was lost")
    return task.result()


class Caller:
    """The connection to one plugin, made with the first call and anew once it is lost, until it is closed."""

    def __init__(self, socket: str, deadlines_s: Mapping[str, float] | None = None) -> None:
        self.socket = socket
        self.name = socket  # until the plugin has said it
        self._deadlines_s = {**DEADLINES_S, **(deadlines_s or {})}
        self._codec = ProtoCodec()
        self._channel: _Channel | None = None
        self._closed = False

    async def ask(
        self, name: str, request: Message, reply: type[M], about: str = "", secrets: SecretValues = NO_SECRETS
    ) -> M:
        """Returns the answer to the call `name`. Raises CsiFailed."""
        call = self.call(name, about, secrets)
        if request.ByteSize() > MAX_MESSAGE_BYTES:
            raise call.too_large(request.ByteSize(), MAX_MESSAGE_BYTES)
        within_s = self._deadlines_s[name]
        try:
            answer = await _in_a_task_of_its_own(self._exchange(name, request, within_s), within_s)
        except GRPCError as error:
            raise call.refused(error.status, error.message or "") from None
        except TimeoutError:
            raise call.broken(f"nothing came within {within_s:g} s") from None
        except _BROKEN as error:
            raise call.broken(getattr(error, "strerror", "") or str(error) or type(error).__name__) from None
        except _TooLarge as error:
            self._drop()
            raise call.lied(str(error)) from None
        except _MALFORMED as error:
            self._drop()
            raise call.lied(f"no message of {name} ({type(error).__name__})") from None
        if not isinstance(answer, reply):
            raise call.broken("the connection ended before the answer")
        return answer

    def call(self, name: str, about: str = "", secrets: SecretValues = NO_SECRETS) -> Call:
        return Call(self.name, name, about, secrets)

    async def close(self) -> None:
        self._closed = True
        self._drop()

    async def _exchange(self, name: str, request: Message, within_s: float) -> Message | None:
        method = METHODS[name]
        channel = self._open()
        stream = _BoundedStream(
            channel,
            method.path,
            cast("Any", MultiDict()),
            Cardinality.UNARY_UNARY,
            method.request,
            method.reply,
            codec=self._codec,
            status_details_codec=None,
            dispatch=channel.__dispatch__,
            deadline=Deadline.from_timeout(within_s),
        )
        async with stream:
            await stream.send_message(request, end=True)
            return cast("Message | None", await stream.recv_message())

    def _open(self) -> _Channel:
        if self._closed:
            raise ConnectionResetError("this node follows the plugin no more")
        if self._channel is None:
            self._channel = _Channel(path=self.socket, codec=self._codec)
        return self._channel

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
