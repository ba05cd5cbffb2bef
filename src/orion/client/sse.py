"""Server-Sent Events (WHATWG HTML, section 9.2) as far as Orion sends them."""

from collections.abc import Iterable, Iterator

import msgspec


class Message(msgspec.Struct, frozen=True):
    event: str  # "message" when the sender names none
    data: str
    id: str = ""


def messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """The messages in a stream of bytes cut anywhere. Comments and unknown fields are passed over."""
    rest = b""
    event, data, identity = "message", list[str](), ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            field, _, value = line.removesuffix(b"\r").decode().partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                identity = value
            elif not field and not value:
                if data:
                    yield Message(event, "\n".join(data), identity)
                event, data, identity = "message", [], ""
