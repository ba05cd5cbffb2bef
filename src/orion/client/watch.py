"""All that a cluster has, row by row as it changes, as a method of the client."""

from collections.abc import Collection, Iterator

import msgspec

from orion.client.session import EVENT_STREAM, STREAM_SILENCE_S, Session
from orion.client.sse import messages
from orion.client.transport import MARGIN_S
from orion.model.api.watch import ROWS, CurrentMessage, Noun, Row, RowsMessage
from orion.model.errors import Refused


class Rows(msgspec.Struct, frozen=True):
    """Rows of a noun that are new, or others than before, and the keys (`key_of`) of those that are gone. `begins`:
    all rows of the noun follow, and what was known of it before counts no more.
    """

    noun: Noun
    rows: list[Row]
    gone: list[str] = []
    begins: bool = False


class Current(msgspec.Struct, frozen=True):
    """All that has come is the state at `index`. `leader`: the node that leads, "" while none does."""

    index: int
    leader: str


class Watch(Session):
    def watch(self, nouns: Collection[Noun] = ()) -> Iterator[Rows | Current]:
        """Rows of these nouns (all when none is named) as they are now, and from then on what changes, in pieces;
        a Current wherever all that came is one state. Each call begins with everything. Raises Unavailable when the
        node goes, or says nothing any more.
        """
        query = {"nouns": ",".join(nouns)} if nouns else {}
        headers = self._headers({"Accept-Encoding": "gzip"})
        connect_s = self._timeout_s + MARGIN_S
        chunks = self._transport.stream("/watch", query, headers, connect_s, STREAM_SILENCE_S, EVENT_STREAM)
        try:
            for message in messages(chunks):
                if message.event == "rows":
                    yield _rows(msgspec.json.decode(message.data, type=RowsMessage))
                elif message.event == "current":
                    current = msgspec.json.decode(message.data, type=CurrentMessage)
                    yield Current(current.index, current.leader)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Refused(f"what answers at {self.address} is not an Orion of this version: {error}") from None


_DECODERS = {noun: msgspec.json.Decoder(kind) for noun, (kind, _) in ROWS.items()}


def _rows(message: RowsMessage) -> Rows:
    noun = Noun(message.noun)
    decode = _DECODERS[noun].decode
    return Rows(noun, [decode(row) for row in message.rows], message.gone, message.begins)
