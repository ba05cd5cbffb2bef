"""What the kernel says of connections; hosts that vanish are in tests/e2e/test_vanished.py."""

import asyncio
import contextlib
import socket

import pytest
import uvloop

from orion.process.tcp_info import TcpInfo, keep_alive, tcp_info


@contextlib.contextmanager
def connected():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keep_alive(listener)
        with socket.create_connection(listener.getsockname()) as one:
            other, _ = listener.accept()
            with other:
                yield one, other


def test_a_connection_in_use():
    with connected() as (one, other):
        one.sendall(b"x" * 1000)
        other.recv(1000, socket.MSG_WAITALL)
        told = tcp_info(one)
        assert told.taken_bytes >= 1000
        assert not told.gone


def test_what_is_none():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert tcp_info(ours) is None
    closed = socket.socket()
    closed.close()
    assert tcp_info(closed) is None


async def closed_connection():
    """What is told of one as its event loop shows it."""
    lost = asyncio.Event()

    class Told(asyncio.Protocol):
        def connection_lost(self, exc):
            lost.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport, _ = await asyncio.get_running_loop().create_connection(Told, *listener.getsockname())
        sock = transport.get_extra_info("socket")
        assert tcp_info(sock) is not None
        transport.abort()
        async with asyncio.timeout(60):
            await lost.wait()
    return tcp_info(sock), tcp_info(transport.get_extra_info("socket") or sock)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_closed_connection_is_none_on_each_event_loop(run):
    assert run(closed_connection()) == (None, None)


def test_an_end_that_nobody_has_read():
    with connected() as (one, other):
        assert not tcp_info(other).hung_up
        one.sendall(b"unread")
        one.shutdown(socket.SHUT_WR)
        assert tcp_info(other).hung_up
        assert not tcp_info(one).hung_up


def test_tries_in_vain():
    assert TcpInfo(5, 0).gone
    assert not TcpInfo(4, 0).gone


def test_keepalive_is_that_of_the_listener():
    with connected() as (_, other):
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        probes = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert idle + probes * other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 10
