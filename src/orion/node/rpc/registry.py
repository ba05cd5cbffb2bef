"""The requests that a node answers: each room registers its own, so that a new one touches its noun's file only."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar, Union, cast

import msgspec

from orion.model.errors import Refused, Unavailable
from orion.model.ids import NodeId
from orion.node.rpc.duplex import Duplex, answering_end
from orion.node.rpc.lists import sent
from orion.node.rpc.reads import Listing
from orion.node.rpc.request import (
    CallRequest,
    DuplexRequest,
    ListRequest,
    Place,
    Request,
    SignOfLife,
    StreamRequest,
    answer_type,
    encode_reply,
    request_fault,
)
from orion.ports.peers import Channel, Principal

R = TypeVar("R")
S = TypeVar("S")

# Each is given the request and who asks.
CallHandler = Callable[[Any, Principal], Awaitable[R]]
StreamHandler = Callable[[Any, Principal], AsyncGenerator[R | SignOfLife, None]]


DuplexHandler = Callable[[Any, Principal, Duplex[R, S]], Awaitable[None]]


class Registry:
    """One per node. `follows_log`: whether the node may answer from its own state."""

    def __init__(self, me: NodeId, follows_log: Callable[[], bool]) -> None:
        self._me = Principal(me)
        self._follows_log = follows_log
        self._calls: dict[type[Request[Any]], CallHandler[Any]] = {}  # and lists
        self._streams: dict[type[Request[Any]], StreamHandler[Any]] = {}
        self._duplexes: dict[type[Request[Any]], DuplexHandler[Any, Any]] = {}
        self._decoder: msgspec.msgpack.Decoder[Request[Any]] | None = None

    @property
    def kinds(self) -> tuple[type[Request[Any]], ...]:
        """All that this node answers."""
        return (*self._calls, *self._streams, *self._duplexes)

    def answer_call(self, kind: type[CallRequest[R]], handler: CallHandler[R]) -> None:
        self._register(kind, self._calls, handler)

    def answer_list(self, kind: type[ListRequest], handler: CallHandler[Listing]) -> None:
        self._register(kind, self._calls, handler)

    def answer_stream(self, kind: type[StreamRequest[R]], handler: StreamHandler[R]) -> None:
        self._register(kind, self._streams, handler)

    def answer_duplex(self, kind: type[DuplexRequest[R, S]], handler: DuplexHandler[R, S]) -> None:
        self._register(kind, self._duplexes, handler)

    def _register(self, kind: type[Request[Any]], handlers: dict[type[Request[Any]], Any], handler: Any) -> None:
        assert kind not in self.kinds, f"{kind.__name__} is answered twice"
        handlers[kind] = handler
        self._decoder = None

    # --- this node asks itself ----------------------------------------------------------------------------

    async def answer(self, request: Request[R], asker: Principal | None = None) -> R:
        """To a call or for a list. Raises OrionErrors."""
        self._require_log(request)
        return cast("R", await self._calls[type(request)](request, asker or self._me))

    async def items(
        self, request: StreamRequest[R], asker: Principal | None = None
    ) -> AsyncGenerator[R | SignOfLife, None]:
        """Raises OrionErrors."""
        self._require_log(request)
        async with contextlib.aclosing(self._streams[type(request)](request, asker or self._me)) as items:
            async for item in items:
                yield item

    def _require_log(self, request: Request[Any]) -> None:
        if request.at is Place.LOG and not self._follows_log():
            raise Unavailable(f"{self._me.node} does not follow the cluster's log")

    # --- peers ask ----------------------------------------------------------------------------------------

    async def on_call(self, asker: Principal, body: bytes) -> bytes:
        """A peer's call. Raises OrionErrors, which cross the wire."""
        request = self._understood(asker, body)
        if not isinstance(request, CallRequest):
            raise Refused(f"{type(request).__name__} is not a call")
        return encode_reply(await self.answer(request, asker))

    async def on_stream(self, asker: Principal, body: bytes) -> AsyncGenerator[bytes, None]:
        """Returns what a peer asks for as a stream: a list is one too, for it has no limit."""
        request = self._understood(asker, body)
        if isinstance(request, ListRequest):
            items = sent(await self.answer(request, asker))
        elif isinstance(request, StreamRequest):
            items = self._encoded(request, asker)
        else:
            raise Refused(f"{type(request).__name__} is not a stream")
        async with contextlib.aclosing(items):
            async for item in items:
                yield item

    async def _encoded(self, request: StreamRequest[Any], asker: Principal) -> AsyncGenerator[bytes, None]:
        as_they_are = answer_type(type(request)) is bytes
        async with contextlib.aclosing(self.items(request, asker)) as items:
            async for item in items:
                if isinstance(item, SignOfLife):
                    yield b""
                else:
                    yield item if as_they_are else encode_reply(item)

    async def on_duplex(self, asker: Principal, body: bytes, channel: Channel) -> None:
        """A peer's request for a stream that carries both ways."""
        request = self._understood(asker, body)
        if not isinstance(request, DuplexRequest):
            raise Refused(f"{type(request).__name__} does not carry both ways")
        self._require_log(request)
        both_ways = answering_end(request, channel, asker.node)
        await self._duplexes[type(request)](request, asker, both_ways)

    def _understood(self, asker: Principal, body: bytes) -> Request[Any]:
        """Raises Refused for what can't be read, or asks for too much."""
        try:
            request = self.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(
                f"a request from {asker.node} can't be read ({error}); do all nodes run one version?"
            ) from None
        if fault := request_fault(request):
            raise Refused(f"{type(request).__name__} from {asker.node} asks for too much: {fault}")
        return request

    def decode(self, body: bytes) -> Request[Any]:
        """Raises msgspec.MsgspecError or UnicodeDecodeError for what is no request that this node answers."""
        if self._decoder is None:
            self._decoder = msgspec.msgpack.Decoder(Union[self.kinds])  # noqa: UP007 -- made of a tuple
        return self._decoder.decode(body)
