"""What every `Probe` must do, on real sockets here and the simulator's in tests/sim; and what only sockets have."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol

import pytest

from orion.adapters import probe as adapter
from orion.adapters.probe import MAX_HEAD_BYTES, SocketProbe
from orion.ports.probe import HttpQuestion, Probe, Target

HOST = "127.0.0.1"
GET = HttpQuestion("/up")


class Bench(Protocol):
    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits."""

    def probe(self) -> Probe: ...

    async def working(self) -> Target:
        """A task that accepts, and answers a GET with 200."""

    async def silent(self) -> Target:
        """A task that accepts nothing."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def run(self: object, bench: Bench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


class ProbeContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_a_task_that_works_passes(self, bench: Bench) -> None:
        target = await bench.working()
        assert (await bench.probe().tcp([target], 5)).ok
        assert (await bench.probe().http([target], GET, 5)).ok

    @checked
    async def test_one_that_does_not_fails_in_words(self, bench: Bench) -> None:
        target = await bench.silent()
        for result in (await bench.probe().tcp([target], 5), await bench.probe().http([target], GET, 5)):
            assert not result.ok
            assert "refuses connections" in result.output

    @checked
    async def test_a_task_without_an_address_fails_in_words(self, bench: Bench) -> None:
        for result in (await bench.probe().tcp([], 5), await bench.probe().http([], GET, 5)):
            assert not result.ok
            assert "no address" in result.output


# --- sockets -----------------------------------------------------------------------------------------------

_Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(answer: _Answer) -> AsyncIterator[Target]:
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await answer(reader, writer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket then

    server = await asyncio.start_server(handle, HOST, 0)
    try:
        yield Target(HOST, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def saying(answer: bytes, asked: list[bytes] | None = None) -> _Answer:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(answer)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return say


async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hear_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


class SocketBench:
    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(30), self._stack:
                await check()

        asyncio.run(main())

    def probe(self) -> Probe:
        return SocketProbe()

    async def working(self) -> Target:
        return await self._stack.enter_async_context(serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")))

    async def silent(self) -> Target:
        async with serving(never) as target:
            return target


class TestSockets(ProbeContract):
    @pytest.fixture
    def bench(self) -> SocketBench:
        return SocketBench()


def asked(answer: _Answer, question: HttpQuestion = GET, timeout_s: float = 5.0):
    async def main():
        async with serving(answer) as target:
            return target, await SocketProbe().http([target], question, timeout_s)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "wanted", "ok"),
    [
        (200, 0, True),
        (204, 0, True),
        (301, 0, True),
        (404, 0, False),
        (503, 0, False),
        (404, 404, True),
        (200, 404, False),
    ],
)
def test_the_status_decides(status, wanted, ok):
    _, result = asked(saying(b"HTTP/1.1 %d Whatever\r\n\r\n" % status), HttpQuestion("/", status=wanted))
    assert result.ok is ok


def test_what_is_asked():
    heard = []
    target, _ = asked(saying(b"HTTP/1.1 200\r\n\r\n", heard), HttpQuestion("/up?a=b", (("X-A", "1"),)))
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == "GET /up?a=b HTTP/1.1"
    assert f"Host: {HOST}:{target.port}" in lines
    assert "X-A: 1" in lines
    assert "Connection: close" in lines
    asked(saying(b"HTTP/1.1 200\r\n\r\n", heard), HttpQuestion("/", (("host", "web.example"),)))
    assert [line for line in heard[1].decode().split("\r\n") if line.lower().startswith("host:")] == [
        "host: web.example"
    ]


def test_a_failure_shows_the_beginning_of_what_was_answered():
    body = b"database\n  is away " + b"x" * 5_000
    target, result = asked(saying(b"HTTP/1.1 503 No\r\nA: b\r\n\r\n" + body))
    assert result.output.startswith(f"GET /up on {HOST}:{target.port}: status 503: database is away xxx")
    assert len(result.output) < 300


def test_a_head_of_1xx_is_passed_over():
    assert asked(saying(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n"))[1].ok


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (hear_and_close, "closes the connection"),
        (saying(b"HTTP/1.1 200 OK\r\nA: b"), "breaks off"),
        (saying(b"hello\r\n\r\n"), "no HTTP: b'hello"),
        (saying(b"HTTP/1.1 2000 OK\r\n\r\n"), "no HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 2 * MAX_HEAD_BYTES), "bytes of headers"),
    ],
)
def test_an_odd_answer_is_a_failure_in_words(answer, words):
    _, result = asked(answer)
    assert not result.ok
    assert words in result.output


def test_no_answer_ends_with_the_deadline():
    target, result = asked(never, timeout_s=0.2)
    assert not result.ok
    assert result.output == f"{HOST}:{target.port} does not answer GET /up within 0.2 s"


@contextlib.contextmanager
def unreachable() -> Iterator[Target]:
    """What is sent there gets lost: the kernel drops requests for connections beyond those that nobody takes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield Target(HOST, listener.getsockname()[1])


def test_where_there_is_no_way_to_the_first_the_next_is_asked():
    async def main():
        with unreachable() as away:
            async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as target:
                assert (await SocketProbe().tcp([away, target], 20)).ok
                assert (await SocketProbe().http([away, target], GET, 20)).ok
            result = await SocketProbe().tcp([away], 0.1)
            assert result.output == f"{HOST}:{away.port} does not accept within 0.1 s"

    asyncio.run(main())


def test_a_refusal_of_the_first_is_its_answer():
    async def main():
        async with serving(never) as gone:
            pass
        async with serving(never) as target:
            assert not (await SocketProbe().tcp([gone, target], 5)).ok

    asyncio.run(main())


def test_a_proxy_that_finds_nobody_behind_it_closes_the_connection(monkeypatch):
    async def main():
        async with serving(close_at_once) as target:
            proxy = Target(target.host, target.port, proxy=True)
            with monkeypatch.context() as patience:
                patience.setattr(adapter, "PROXY_S", 10.0)
                assert not (await SocketProbe().tcp([proxy], 20)).ok
        async with serving(never) as target:
            proxy = Target(target.host, target.port, proxy=True)
            assert (await SocketProbe().tcp([proxy], 5)).ok

    asyncio.run(main())


def test_a_cancelled_probe_ends():
    async def main():
        async with serving(never) as target:
            runner = asyncio.create_task(SocketProbe().http([target], GET, 60))
            await asyncio.sleep(0.05)
            runner.cancel()
            await asyncio.wait([runner])
            assert runner.cancelled()

    asyncio.run(main())
