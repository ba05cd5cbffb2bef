"""A stream that carries both ways, in values: what is sent as msgpack, what comes checked before it is believed."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from orion.model.errors import Refused
from orion.node.rpc.request import DuplexRequest, answer_type, decode_reply, decoder_of, encode_reply, sent_type
from orion.ports.peers import Channel

Out = TypeVar("Out")
In = TypeVar("In")
R = TypeVar("R")
S = TypeVar("S")


class Duplex(Generic[Out, In]):
    """One end. As ports.peers.Channel."""

    def __init__(self, channel: Channel, decode: Callable[[bytes], In]) -> None:
        self._channel = channel
        self._decode = decode

    async def send(self, item: Out) -> None:
        await self._channel.send(encode_reply(item))

    async def finish(self) -> None:
        await self._channel.finish()

    async def receive(self) -> In | None:
        """None once the other end has said its last. Raises, for what can't be read, NotUnderstood where it was
        asked for, Refused where it is answered.
        """
        item = await self._channel.receive()
        return None if item is None else self._decode(item)


def asking_end(request: DuplexRequest[R, S], channel: Channel, source: str) -> Duplex[S, R]:
    kind: Any = answer_type(type(request))
    return Duplex(channel, lambda item: decode_reply(item, kind, source))


def answering_end(request: DuplexRequest[R, S], channel: Channel, asker: str) -> Duplex[R, S]:
    decoder, name = decoder_of(sent_type(type(request))), type(request).__name__

    def decode(item: bytes) -> S:
        try:
            return decoder.decode(item)  # type: ignore[no-any-return]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(f"what {asker} sends to {name} can't be read ({error})") from None

    return Duplex(channel, decode)
