"""The Relay port on real sockets: [::1] to 127.0.0.1, at one port."""

import asyncio
import contextlib
import socket
import struct

import pytest
import uvloop

from orion.adapters.relay import SocketRelay, relay

DEADLINE_S = 30
CLIENTS = []  # to be closed at the end


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    return request.param


@contextlib.asynccontextmanager
async def relaying(*ports):
    made = SocketRelay()
    running = asyncio.ensure_future(made.run())
    made.keep(ports)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield made
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=DEADLINE_S)
        while CLIENTS:
            CLIENTS.pop().transport.abort()
        assert running.cancelled(), running


@contextlib.asynccontextmanager
async def serving(answer):
    """A server on 127.0.0.1; yields its port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader, writer):
    """All that comes, once it is whole."""
    try:
        writer.write(await reader.read(-1))
        writer.write_eof()
        await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def connected(port):
    while True:
        try:
            reader, writer = await asyncio.open_connection("::1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0)
        else:
            CLIENTS.append(writer)
            return reader, writer


async def refused(port):
    while True:
        try:
            _, writer = await asyncio.open_connection("::1", port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it closes at this moment
            continue
        writer.transport.abort()
        await asyncio.sleep(0)


def test_bytes_pass_both_ways_each_until_its_own_end(run):
    async def check():
        async with serving(echo) as port, relaying(port):
            sent = bytes(range(256)) * 8_192
            reader, writer = await connected(port)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read(-1) == sent
            writer.close()

    run(check())


def test_a_reset_is_a_reset_at_the_other_end(run):
    async def reset(reader, writer):
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def check():
        async with serving(reset) as port, relaying(port):
            reader, writer = await connected(port)
            writer.write(b"hello")
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            writer.transport.abort()

    run(check())


def test_where_nobody_listens_the_connection_is_reset(run):
    async def check():
        async with serving(echo) as port:
            pass
        async with relaying(port):
            reader, _ = await connected(port)
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)

    run(check())


def test_a_port_that_is_closed_leaves_its_connections(run):
    async def check():
        async with serving(echo) as port, relaying(port) as made:
            reader, writer = await connected(port)
            writer.write(b"before")
            await writer.drain()
            made.keep([])
            await refused(port)
            writer.write(b" and after")
            writer.write_eof()
            assert await reader.read(-1) == b"before and after"
            made.keep([port])
            (await connected(port))[1].transport.abort()

    run(check())


def test_so_many_connections_and_no_more(run, monkeypatch):
    monkeypatch.setattr(relay, "MAX_CONNECTIONS", 1)

    async def check():
        async with serving(echo) as port, relaying(port):
            reader, writer = await connected(port)
            writer.write(b"first")
            await writer.drain()
            too_many, _ = await connected(port)
            with contextlib.suppress(ConnectionResetError):
                assert await too_many.read(-1) == b""
            writer.write_eof()
            assert await reader.read(-1) == b"first"

    run(check())


def test_a_port_that_somebody_has_is_tried_again_and_the_others_are_open(run, monkeypatch):
    monkeypatch.setattr(relay, "AGAIN_S", 0.05)

    async def check():
        async with serving(echo) as taken, serving(echo) as free:
            with socket.create_server(("::", taken), family=socket.AF_INET6):
                async with relaying(taken, free) as made:
                    (await connected(free))[1].transport.abort()
                    assert made._servers.keys() == {free}
            async with relaying(free) as made:
                with socket.create_server(("::", taken), family=socket.AF_INET6):
                    made.keep([taken, free])
                    (await connected(free))[1].transport.abort()
                (await connected(taken))[1].transport.abort()

    run(check())


def test_clients_by_ipv4_are_not_its_concern(run):
    async def check():
        async with serving(echo) as port, relaying(port):
            (await connected(port))[1].transport.abort()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert writer.get_extra_info("peername")[1] == port
            writer.write_eof()
            assert await reader.read(-1) == b""
            writer.close()

    run(check())


def test_its_end_ends_its_connections(run):
    async def check():
        async with serving(echo) as port:
            async with relaying(port):
                reader, writer = await connected(port)
                CLIENTS.clear()
                writer.write(b"never answered")
                await writer.drain()
            assert await reader.read(-1) == b""
            writer.close()
            await refused(port)

    run(check())
