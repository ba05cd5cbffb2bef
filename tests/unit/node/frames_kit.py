"""The simulator's network carries what TCP's frames would not: here it is as narrow."""

from orion.model.errors import TooLarge
from orion.wire.envelopes import Reply, encode_reply
from orion.wire.frames import FrameError, Kind, encode_frame


def limit_frames(nodes):
    """From now on, as adapters/peers does."""
    for machine in nodes.machines:
        _limit(machine.run.peers)


def _limit(peers):
    on_call, on_stream = peers._on_call, peers._on_stream

    async def answer(node, request):
        reply = await on_call(node, request)
        _require(lambda: encode_reply(Reply(1, reply)))
        return reply

    async def items(node, request):
        source = on_stream(node, request)
        try:
            async for item in source:
                _require(lambda item=item: encode_frame(Kind.ITEM, item))
                yield item
        finally:
            await source.aclose()

    peers._on_call, peers._on_stream = answer, items


def _require(encode):
    try:
        encode()
    except FrameError as error:
        raise TooLarge(f"it is too large: {error}") from None
