"""The adapter's HTTP client before a real socket, whose other end answers oddly or not as HTTP has it.

On both event loops: a node runs on uvloop, and the stock one works too.
"""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from orion.adapters.docker.http.address import Address, Tls
from orion.adapters.docker.http.client import MAX_ERROR_BYTES, Answer, AnswerTooLarge, Client, Refused
from orion.adapters.docker.http.parser import MAX_HEAD_BYTES, AnswerParser, BrokenAnswer
from orion.adapters.docker.http.pool import MOST_IDLE, ConnectionFailed, Pool
from support.scripted import Reader, Reply, Scripted, Writer, scripted

DEADLINE_S = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    def run(check: Awaitable[None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(DEADLINE_S):
                await check

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param == "uvloop" else None) as runner:
            runner.run(bounded())

    return run


@contextlib.asynccontextmanager
async def client_of(server: Scripted, **tuning: float) -> AsyncIterator[Client]:
    address = Address(socket=server.socket)
    client = Client(address, pool=Pool(address, **tuning))
    try:
        yield client
    finally:
        await client.close()


async def body_of(client: Client, method: str = "GET") -> bytes:
    with await client.open(method, "x") as answer:
        return await answer.read(1_000_000)


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

MANY_PIECES = 10_000  # of which each is a turn of two loops

WHOLE = {
    "content-length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "no body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "chunked": (CHUNKED + chunked(b"he", b"llo", b""), b"hello"),
    "chunk extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;last\r\n\r\n', b"hello"),
    "trailing headers": (CHUNKED + b"5\r\nhello\r\n0\r\nDigest: x\r\nAlso: y\r\n\r\n", b"hello"),
    "a large chunk": (CHUNKED + chunked(b"x" * 100_000, b""), b"x" * 100_000),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + chunked(b"hello", b""), b"hello"),
    "several before it": (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        + CHUNKED
        + chunked(b"hello", b""),
        b"hello",
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "spaces around a header": (b"HTTP/1.1 200 OK\r\ncontent-LENGTH: \t 5 \r\n\r\nhello", b"hello"),
    "1.0 that stays": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
}


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_is_the_same_however_it_is_cut_and_its_connection_goes_on(run, tmp_path, kind: str, step: int):
    sent, body = WHOLE[kind]
    at_a_time = step if len(sent) < MANY_PIECES else 1_000 * step

    async def check() -> None:
        async with scripted(tmp_path / "s", sent, sent, step=at_a_time) as server, client_of(server) as client:
            assert [await body_of(client), await body_of(client)] == [body, body]
            assert server.connections == 1

    run(check())


UNTIL_THE_END = {
    "nothing says how long": b"HTTP/1.1 200 OK\r\n\r\n",
    "1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "connection: close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("kind", UNTIL_THE_END)
def test_an_answer_without_a_length_ends_with_its_connection(run, tmp_path, kind: str):
    async def check() -> None:
        replies = [says(UNTIL_THE_END[kind] + b"hello"), OK]
        async with scripted(tmp_path / "s", *replies) as server, client_of(server) as client:
            assert await body_of(client) == b"hello"
            assert await body_of(client) == b"{}"
            assert server.connections == 2

    run(check())


def test_the_answer_to_head_has_no_body(run, tmp_path):
    async def check() -> None:
        replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OK]
        async with scripted(tmp_path / "s", *replies) as server, client_of(server) as client:
            assert await body_of(client, "HEAD") == b""
            assert await body_of(client) == b"{}"
            assert server.connections == 1

    run(check())


def says(data: bytes) -> Reply:
    """Says it and closes the connection."""

    async def say(_: Reader, writer: Writer) -> None:
        writer.write(data)
        await writer.drain()

    return say


def for_ever(begin: bytes, again: bytes) -> Reply:
    async def say(_: Reader, writer: Writer) -> None:
        writer.write(begin)
        while True:
            writer.write(again)
            await writer.drain()

    return say


async def hangs(reader: Reader, _: Writer) -> None:
    await reader.read()  # until the other end has gone


BROKEN = {
    "garbage": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "is no HTTP.*SSH-2.0"),
    "nothing": (says(b""), "without an answer"),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nContent-Le"), "without an answer"),
    "a 100 and no more": (says(b"HTTP/1.1 100 Continue\r\n\r\n"), "without an answer"),
    "a short body": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), "in the middle"),
    "half a chunk": (says(CHUNKED + b"5\r\nhel"), "in the middle"),
    "no last chunk": (says(CHUNKED + b"5\r\nhello\r\n"), "in the middle"),
    "no end of the trailers": (says(CHUNKED + b"0\r\nDigest: x\r\n"), "in the middle"),
    "a chunk of no size": (says(CHUNKED + b"five\r\nhello\r\n0\r\n\r\n"), "is no HTTP"),
    "a chunk longer than its size": (says(CHUNKED + b"3\r\nhello\r\n0\r\n\r\n"), "is no HTTP"),
    "two lengths": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), "is no HTTP"),
    "a length of no number": (says(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"), "is no HTTP"),
    "length and chunks": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "is no HTTP",
    ),
    "a large header": (says(b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"x" * MAX_HEAD_BYTES)), "bytes of headers"),
    "an endless header": (for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1_000), "bytes of headers"),
    "endless headers": (for_ever(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 100), "bytes of headers"),
    "an endless reason": (for_ever(b"HTTP/1.1 200 ", b"x" * 1_000), "bytes of headers"),
    "endless beginnings": (for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "bytes of headers"),
    "an endless chunk extension": (for_ever(CHUNKED + b"5;", b"x" * 1_000), "bytes of headers"),
    "endless trailers": (for_ever(CHUNKED + b"0\r\n", b"X: x\r\n" * 100), "bytes of headers"),
    "another protocol": (
        says(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nx"),
        "was not asked for",
    ),
    "another protocol without a name": (says(b"HTTP/1.1 101 Switching\r\n\r\nx"), "without saying"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_told_and_ends_its_connection(run, tmp_path, kind: str):
    reply, told = BROKEN[kind]

    async def check() -> None:
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with pytest.raises(BrokenAnswer, match=told):
                await body_of(client)
            await server.until_none_is_open()
            assert len(server.requests) == 1

    run(check())


def test_what_came_before_it_broke_off_is_given(run, tmp_path):
    async def check() -> None:
        reply = says(CHUNKED + chunked(b"hello"))
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with await client.open("GET", "x") as answer:
                assert await answer.piece() == b"hello"
                with pytest.raises(BrokenAnswer):
                    await answer.piece()

    run(check())


@pytest.mark.parametrize("more", [b"x", OK, b"garbage\r\n\r\n"])
def test_more_than_was_announced_is_no_part_of_any_answer(run, tmp_path, more: bytes):
    async def check() -> None:
        async with scripted(tmp_path / "s", OK + more, OK) as server, client_of(server) as client:
            assert await body_of(client) == b"{}"
            assert await body_of(client) == b"{}"
            assert server.connections == 2

    run(check())


def test_an_endless_body_has_a_bound(run, tmp_path):
    async def check() -> None:
        reply = for_ever(CHUNKED, chunked(b"x" * 1_000))
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with await client.open("GET", "x") as answer, pytest.raises(AnswerTooLarge):
                await answer.read(100_000)
            await server.until_none_is_open()

    run(check())


# --- errors that are answered ------------------------------------------------------------------------------


def refusal(status: str, body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status.encode(), kind, len(body)) + body


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        (refusal("404 Not Found", b'{"message":"No such container: x"}'), 404, "No such container: x"),
        (refusal("500 Internal Server Error", b'{"error":1}'), 500, '{"error":1}'),
        (refusal("500 Internal Server Error", b"[5"), 500, "[5"),
        (refusal("502 Bad Gateway", b"<html>\xff</html>\n", b"text/html"), 502, "<html>\ufffd</html>"),
        (refusal("503 Service Unavailable", b""), 503, "Service Unavailable"),
        (refusal("503 ", b""), 503, "status 503"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n",
            301,
            "it sends us to 'https://h/'",
        ),
    ],
)
def test_an_error_says_what_the_server_says(run, tmp_path, reply: bytes, status: int, message: str):
    async def check() -> None:
        async with scripted(tmp_path / "s", reply, OK) as server, client_of(server) as client:
            with pytest.raises(Refused) as raised:
                await client.ask("GET", "x")
            assert (raised.value.status, raised.value.message) == (status, message)
            assert await client.ask("GET", "x") == {}
            assert server.connections == 1

    run(check())


def test_an_endless_error_is_cut(run, tmp_path):
    async def check() -> None:
        reply = for_ever(CHUNKED.replace(b"200 OK", b"500 No"), chunked(b"x" * 1_000))
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with pytest.raises(Refused) as raised:
                await client.ask("GET", "x")
            assert raised.value.message == "x" * MAX_ERROR_BYTES
            await server.until_none_is_open()

    run(check())


# --- connections that are used again -----------------------------------------------------------------------


def test_an_answer_that_was_not_read_to_its_end_ends_its_connection(run, tmp_path):
    async def check() -> None:
        async with scripted(tmp_path / "s", CHUNKED + b"5\r\nhello\r\n", OK) as server, client_of(server) as client:
            with await client.open("GET", "x") as answer:
                assert await answer.piece() == b"hello"
            assert await body_of(client) == b"{}"
            assert server.connections == 2

    run(check())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_was_closed_while_idle_is_not_used(run, tmp_path, method: str):
    async def check() -> None:
        async with scripted(tmp_path / "s", says(OK), OK) as server, client_of(server) as client:
            assert await body_of(client) == b"{}"
            await server.until_none_is_open()
            assert await body_of(client, method) == b"{}"
            assert len(server.requests) == 2

    run(check())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_request_that_met_a_closing_connection_is_sent_again(run, tmp_path, method: str):
    async def check() -> None:
        async with scripted(tmp_path / "s", OK, says(b""), OK) as server, client_of(server) as client:
            assert await body_of(client) == b"{}"
            assert await body_of(client, method) == (b"" if method == "HEAD" else b"{}")
            assert (server.connections, len(server.requests)) == (2, 3)
            assert server.requests[1] == server.requests[2]

    run(check())


def test_a_request_that_may_do_something_twice_is_sent_once(run, tmp_path):
    async def check() -> None:
        async with scripted(tmp_path / "s", OK, says(b""), OK) as server, client_of(server) as client:
            assert await body_of(client) == b"{}"
            with pytest.raises(OSError):
                await body_of(client, "POST")
            assert len(server.requests) == 2

    run(check())


def test_a_request_is_sent_again_once_and_not_after_a_part_of_its_answer(run, tmp_path):
    async def check() -> None:
        replies = [OK, says(b""), says(b""), OK, says(b"HTTP/1.1 2"), OK]
        async with scripted(tmp_path / "s", *replies) as server, client_of(server) as client:
            for requests in (3, 5):
                assert await body_of(client) == b"{}"
                with pytest.raises(BrokenAnswer):
                    await body_of(client)
                assert len(server.requests) == requests

    run(check())


def test_idle_connections_have_a_bound_and_end(run, tmp_path):
    many = MOST_IDLE + 4

    async def check() -> None:
        async with scripted(tmp_path / "s", *[OK] * 2 * many) as server, client_of(server) as client:
            answers = [await client.open("GET", "x") for _ in range(many)]
            assert server.connections == many
            for answer in answers:
                await answer.read()
                answer.close()
            answers = [await client.open("GET", "x") for _ in range(many)]
            assert server.connections == many + 4
            for answer in answers:
                answer.close()

    run(check())


def test_an_idle_connection_ends_after_its_time(run, tmp_path):
    async def check() -> None:
        async with scripted(tmp_path / "s", OK) as server, client_of(server, idle_s=0.01) as client:
            assert await body_of(client) == b"{}"
            await server.until_none_is_open()

    run(check())


def test_an_answer_that_is_closed_twice_leaves_the_connection_to_who_has_it_then(run, tmp_path):
    async def check() -> None:
        async def reply(_: Reader, writer: Writer) -> None:
            writer.write(CHUNKED)
            await closed_again.wait()
            writer.write(chunked(b"x", b""))

        closed_again = asyncio.Event()
        async with scripted(tmp_path / "s", OK, reply) as server, client_of(server) as client:
            first = await client.open("GET", "x")
            await first.read()
            first.close()
            with await client.open("GET", "x") as second:
                first.close()
                closed_again.set()
                assert await second.read() == b"x"
            assert server.connections == 1

    run(check())


def test_a_closed_client_makes_no_connection_that_stays(run, tmp_path):
    async def check() -> None:
        async with scripted(tmp_path / "s", OK, OK) as server, client_of(server) as client:
            asking = asyncio.create_task(body_of(client))
            await asyncio.sleep(0)  # it is about to connect
            await client.close()
            with pytest.raises(ConnectionFailed, match="closed"):
                await asking
            with pytest.raises(ConnectionFailed, match="closed"):
                await body_of(client)
            await server.until_none_is_open()
            assert not server.requests

    run(check())


def test_a_connection_that_ended_before_it_was_used_is_told(run, tmp_path):
    async def check() -> None:
        async def closes(_: Reader, writer: Writer) -> None:
            writer.close()

        server = await asyncio.start_unix_server(closes, tmp_path / "s")
        pool = Pool(Address(socket=str(tmp_path / "s")))
        channel = await pool.connect()
        await channel.lost.wait()
        with pytest.raises(BrokenAnswer, match="without an answer"):
            channel.begin(b"GET / HTTP/1.1\r\n\r\n", AnswerParser("GET"))
        await pool.close()
        server.close()

    run(check())


# --- waits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"5\r\nhe"])
def test_a_request_that_is_given_up_ends_its_connection(run, tmp_path, beginning: bytes):
    async def check() -> None:
        async def reply(reader: Reader, writer: Writer) -> None:
            writer.write(beginning)
            asked.set()
            await hangs(reader, writer)

        asked = asyncio.Event()
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            runner = asyncio.create_task(body_of(client))
            await asked.wait()
            runner.cancel()
            with pytest.raises(asyncio.CancelledError):
                await runner
            await server.until_none_is_open()

    run(check())


def test_a_handshake_that_hangs_has_a_deadline(run):
    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            address = Address(host="127.0.0.1", port=mute.getsockname()[1], tls=Tls(None))
            client = Client(address, pool=Pool(address, connect_s=0.1))
            with pytest.raises(ConnectionFailed, match="no connection within"):
                await body_of(client)
            await client.close()

    run(check())


def test_the_answer_of_a_server_that_has_not_read_all_is_raised(run, tmp_path):
    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal("413 Too Large", b'{"message": "too large"}'))
        await writer.drain()
        writer.close()

    async def check() -> None:
        server = await asyncio.start_unix_server(answer, tmp_path / "s")
        client = Client(Address(socket=str(tmp_path / "s")))
        with pytest.raises(Refused, match="too large"):
            await client.ask("PUT", "x", body=b"x" * 4_000_000)
        await client.close()
        server.close()

    run(check())


# --- streams that carry both ways --------------------------------------------------------------------------

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: raw\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


async def echoes(head: bytes, reader: Reader, writer: Writer) -> None:
    """Says hello, then everything back, and bye once the other end has no more to say."""
    writer.write(head + b"hello;")
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write(b";bye")
    await writer.drain()


@pytest.mark.parametrize("head", [UPGRADED, RAW], ids=["101", "200"])
def test_a_stream_carries_both_ways_until_each_end_closes_its_own(run, tmp_path, head: bytes):
    sent = bytes(range(256)) * 4_000

    async def check() -> None:
        reply = functools.partial(echoes, head)
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with await client.open("POST", "x", upgrade=True) as stream:
                assert stream.can_end
                assert await stream.piece() == b"hello;"

                async def write() -> None:
                    for begin in range(0, len(sent), 10_000):
                        await stream.write(sent[begin : begin + 10_000])
                    stream.end()

                writer = asyncio.create_task(write())
                assert await stream.read(2_000_000) == sent + b";bye"
                await writer
            await server.until_none_is_open()
            assert b"Upgrade: tcp\r\n" in server.requests[0]

    run(check())


def test_the_other_end_may_close_its_way_first(run, tmp_path):
    got: list[bytes] = []

    async def check() -> None:
        async def reply(reader: Reader, writer: Writer) -> None:
            writer.write(UPGRADED + b"that is all")
            writer.write_eof()
            got.append(await reader.read())

        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with await client.open("POST", "x", upgrade=True) as stream:
                assert await stream.read() == b"that is all"
                await stream.write(b"not for me")
                stream.end()
                await server.until_none_is_open()
        assert got == [b"not for me"]

    run(check())


async def write_much(stream: Answer) -> None:
    for _ in range(1_000):
        await stream.write(b"x" * 100_000)


async def until_full(stream: Answer) -> None:
    while True:
        if not stream._channel._writable:
            return
        await asyncio.sleep(0)


def test_who_does_not_read_keeps_its_writer_waiting(run, tmp_path):
    async def check() -> None:
        async def reply(reader: Reader, writer: Writer) -> None:
            writer.write(UPGRADED)
            await leave.wait()

        leave = asyncio.Event()
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with await client.open("POST", "x", upgrade=True) as stream:
                writer = asyncio.create_task(write_much(stream))
                await until_full(stream)
                assert not writer.done()
                leave.set()
                with pytest.raises(OSError):
                    await writer

    run(check())


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (OK, "no connection that carries both ways"),
        (CHUNKED + chunked(b"x", b""), "no connection that carries both ways"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "no connection that carries both ways"),
        (refusal("409 Conflict", b'{"message": "it is paused"}'), "it is paused"),
    ],
)
def test_where_there_is_no_stream_that_is_told(run, tmp_path, reply: bytes, told: str):
    async def check() -> None:
        async with scripted(tmp_path / "s", reply) as server, client_of(server) as client:
            with pytest.raises((Refused, BrokenAnswer), match=told):
                await client.open("POST", "x", upgrade=True)

    run(check())
