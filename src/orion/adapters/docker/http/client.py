"""Requests and their answers."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from orion.adapters.docker.http.address import Address
from orion.adapters.docker.http.channel import Channel
from orion.adapters.docker.http.parser import AnswerParser, BrokenAnswer, Head
from orion.adapters.docker.http.pool import Pool
from orion.adapters.docker.http.request import IDEMPOTENT, request_bytes, target

MAX_ANSWER_BYTES = 64 * 1024 * 1024  # of an answer that is taken whole
MAX_ERROR_BYTES = 64 * 1024  # of an error's text; the rest of it is not read
_NOT_MODIFIED = 304  # a container that is to be started runs already


class Refused(Exception):
    """The server answered with an error. `message` is what it says of it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class AnswerTooLarge(Exception):
    """An answer was larger than what is taken of one."""


class Answer:
    """One answer whose body is yet to be read. `close` it in any case: that gives the connection back, if the body
    was read to its end, and ends it otherwise.
    """

    def __init__(self, head: Head, channel: Channel, pool: Pool) -> None:
        self.head = head
        self._channel = channel
        self._pool = pool
        self._closed = False

    async def piece(self) -> bytes:
        """Returns the next part of the body as it comes, b"" at its end. Raises OSError when it breaks off."""
        return await self._channel.piece()

    async def read(self, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """Returns the whole body. Raises AnswerTooLarge."""
        body = bytearray()
        while piece := await self.piece():
            body += piece
            if len(body) > most_bytes:
                raise AnswerTooLarge(f"an answer of more than {most_bytes} bytes")
        return bytes(body)

    async def write(self, data: bytes) -> None:
        """For a stream both ways. Returns when there is room for more."""
        await self._channel.write(data)

    @property
    def carries_both_ways(self) -> bool:
        return self._channel.raw

    @property
    def can_end(self) -> bool:
        """False with TLS: there, `end` is not to be had."""
        return self._channel.can_end

    def end(self) -> None:
        """Tells the other end of a stream both ways that nothing more comes. What it sends can still be read."""
        self._channel.end()

    def close(self) -> None:
        """Once is enough: by the second time the connection may be another's."""
        if self._closed:
            return
        self._closed = True
        self._pool.give_back(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Upload:
    """A body under way to the server."""

    def __init__(self, channel: Channel, pool: Pool) -> None:
        self._channel = channel
        self._pool = pool

    @property
    def answered(self) -> bool:
        """True once the server answers, which it may do before it has all of the body: it wants no more of it."""
        return self._channel.answered

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises OSError."""
        if data and not self.answered:
            await self._channel.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def finish(self) -> None:
        """Returns when the server has taken all. Raises Refused, OSError."""
        if not self.answered:
            await self._channel.write(b"0\r\n\r\n")
        await _check(Answer(await self._channel.head(), self._channel, self._pool), upgrade=False)


class Client:
    """Asks one server. Waits have no deadline here, but that for a connection: who asks knows how long to wait.
    A cancelled request ends its connection.
    """

    def __init__(self, address: Address, *, pool: Pool | None = None) -> None:
        self._address = address
        self._pool = pool or Pool(address)

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        body: bytes | dict[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Returns the JSON of the answer, None if it is empty. Raises Refused, AnswerTooLarge, OSError, and
        ValueError for what is no JSON.
        """
        sent = b""
        if body is not None:
            headers = {**(headers or {}), "Content-Type": content_type}
            sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        with await self.open(method, path, params, headers=headers, body=sent) as answer:
            found = await answer.read()
            return msgspec.json.decode(found) if found.strip() else None

    async def open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        upgrade: bool = False,
    ) -> Answer:
        """Returns an answer to be read as it comes; with `upgrade` a stream that carries both ways. Raises Refused
        for an error and for a redirection, and OSError.
        """
        host = {"Host": self._address.authority, "User-Agent": "orion"}
        path = target(f"{self._address.prefix}/{path}", params)
        request = request_bytes(method, path, host | dict(headers or {}), body, upgrade=upgrade)
        answer = await self._exchange(method, request, upgrade=upgrade)
        try:
            await _check(answer, upgrade=upgrade)
        except BaseException:
            answer.close()
            raise
        return answer

    @contextlib.asynccontextmanager
    async def upload(
        self, method: str, path: str, params: Mapping[str, str] | None = None, *, content_type: str
    ) -> AsyncIterator[Upload]:
        """A request whose body is written as it comes, on a connection of its own. Raises OSError."""
        headers = {
            "Host": self._address.authority,
            "User-Agent": "orion",
            "Content-Type": content_type,
            "Transfer-Encoding": "chunked",
        }
        channel = await self._pool.connect()
        try:
            head = request_bytes(method, target(f"{self._address.prefix}/{path}", params), headers, chunked=True)
            channel.begin(head, AnswerParser(method))
            yield Upload(channel, self._pool)
        finally:
            self._pool.drop(channel)

    async def close(self) -> None:
        await self._pool.close()

    async def _exchange(self, method: str, request: bytes, *, upgrade: bool) -> Answer:
        """A server that was started anew has closed the connections that were idle. Where that is found out only
        when the request is sent, and nothing of an answer has come, it is sent again.
        """
        channel = self._pool.idle()
        if channel is not None:
            try:
                return await self._on(channel, method, request, upgrade=upgrade)
            except OSError:
                if channel.answered or method not in IDEMPOTENT:
                    raise
        return await self._on(await self._pool.connect(), method, request, upgrade=upgrade)

    async def _on(self, channel: Channel, method: str, request: bytes, *, upgrade: bool) -> Answer:
        try:
            channel.begin(request, AnswerParser(method, upgrade=upgrade))
            return Answer(await channel.head(), channel, self._pool)
        except BaseException:
            self._pool.drop(channel)
            raise


async def _check(answer: Answer, *, upgrade: bool) -> None:
    head = answer.head
    if head.status >= 400:
        raise Refused(head.status, _message(head, await _beginning(answer)))
    if head.status >= 300 and head.status != _NOT_MODIFIED:
        raise Refused(head.status, f"it sends us to {head.headers.get('location', 'nowhere')!r}")
    if upgrade and not answer.carries_both_ways:
        raise BrokenAnswer(f"it gave no connection that carries both ways (status {head.status})")


async def _beginning(answer: Answer) -> bytes:
    text = b""
    while len(text) < MAX_ERROR_BYTES and (piece := await answer.piece()):
        text += piece
    return text[:MAX_ERROR_BYTES]


def _message(head: Head, body: bytes) -> str:
    """The engine says it in JSON; what stands before an engine may say anything."""
    try:
        message = msgspec.json.decode(body)["message"]
    except (ValueError, LookupError, TypeError):
        message = body.decode(errors="replace").strip()
    return str(message) or head.reason or f"status {head.status}"
