"""The Probe port on sockets."""

import asyncio
import errno
import re
from collections.abc import Awaitable, Callable, Sequence

from orion.model.health import ProbeResult
from orion.model.node import address_text
from orion.ports.probe import HttpQuestion, Target

MAX_HEAD_BYTES = 16 * 1024
SHOWN_BYTES = 200  # of the body of an answer that will not do
CONNECT_S = 1.0  # to a target that has another one behind it
PROXY_S = 0.2  # a proxy that finds nobody behind it closes the connection sooner
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN})
_STATUS = rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |\r|$)"

_Question = Callable[[Target, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[ProbeResult]]


class SocketProbe:
    async def tcp(self, targets: Sequence[Target], timeout_s: float) -> ProbeResult:
        return await _ask(targets, timeout_s, "does not accept", _accepts)

    async def http(self, targets: Sequence[Target], question: HttpQuestion, timeout_s: float) -> ProbeResult:
        async def get(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ProbeResult:
            return await _get(question, target, reader, writer)

        return await _ask(targets, timeout_s, f"does not answer GET {question.path}", get)


async def _ask(targets: Sequence[Target], timeout_s: float, late: str, question: _Question) -> ProbeResult:
    place = "its container has no address"
    try:
        async with asyncio.timeout(timeout_s):
            for left, target in zip(range(len(targets) - 1, -1, -1), targets, strict=True):
                place = _place(target)
                found = await _on(target, min(CONNECT_S, timeout_s / 2) if left else None, question)
                if found is not None:
                    return found
    except TimeoutError:
        return _failure(f"{place} {late} within {timeout_s:g} s")
    return _failure(f"there is no way to {place}" if targets else place)


async def _on(target: Target, connect_s: float | None, question: _Question) -> ProbeResult | None:
    """Returns None when there is no way to the target."""
    place = _place(target)
    try:
        async with asyncio.timeout(connect_s) as within:
            reader, writer = await asyncio.open_connection(target.host, target.port, limit=MAX_HEAD_BYTES)
    except ConnectionRefusedError:
        return _failure(f"{place} refuses connections")
    except OSError as error:  # TimeoutError is one
        if within.expired() or error.errno in _NO_WAY:
            return None
        return _failure(f"{place}: {error.strerror or error}")
    try:
        return await question(target, reader, writer)
    except asyncio.IncompleteReadError as error:
        return _failure(f"{place} {'breaks off in its answer' if error.partial else 'closes the connection'}")
    except asyncio.LimitOverrunError:
        return _failure(f"{place} answers with more than {MAX_HEAD_BYTES} bytes of headers")
    except TimeoutError:
        raise
    except OSError as error:
        return _failure(f"{place}: {error.strerror or error}")
    finally:
        writer.transport.abort()


async def _accepts(target: Target, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> ProbeResult:
    if target.proxy:
        try:
            async with asyncio.timeout(PROXY_S) as within:
                if not await reader.read(1):
                    return _failure(f"{_place(target)} closes the connection")
        except TimeoutError:
            if not within.expired():
                raise
    return ProbeResult(ok=True)


async def _get(
    question: HttpQuestion, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> ProbeResult:
    writer.write(_request(question, target))
    await writer.drain()
    head = await _head(reader)
    match = re.match(_STATUS, head)
    if match is None:
        return _failure(f"{_place(target)} answers with something that is no HTTP: {head[:40]!r}")
    status = int(match[1])
    if status == question.status or (not question.status and 200 <= status < 400):
        return ProbeResult(ok=True, output=f"status {status}")
    words = f"GET {question.path} on {_place(target)}: status {status}"
    body = await _beginning(reader)
    return _failure(f"{words}: {body}" if body else words)


def _request(question: HttpQuestion, target: Target) -> bytes:
    headers = {"Host": address_text(target.host, target.port), "User-Agent": "orion", "Accept": "*/*"}
    given = {name.lower() for name, _ in question.headers}
    lines = [f"GET {question.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in question.headers if name.lower() != "connection"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii")


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Passes over heads of 1xx, which come before the one that counts."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        match = re.match(_STATUS, head)
        if match is None or not match[1].startswith(b"1"):
            return head


async def _beginning(reader: asyncio.StreamReader) -> str:
    """Returns the beginning of the body, as far as it comes at once."""
    try:
        async with asyncio.timeout(PROXY_S) as within:
            body = await reader.read(SHOWN_BYTES)
    except TimeoutError:
        if not within.expired():
            raise
        return ""
    return " ".join(body.decode(errors="replace").split())


def _place(target: Target) -> str:
    return address_text(target.host, target.port)


def _failure(words: str) -> ProbeResult:
    return ProbeResult(ok=False, output=words)
