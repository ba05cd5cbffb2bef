"""What the kernel says of connections; hosts that vanish are in tests/e2e/test_vanished.py."""

import contextlib
import socket

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


def test_tries_in_vain():
    assert TcpInfo(5, 0).gone
    assert not TcpInfo(4, 0).gone


def test_keepalive_is_that_of_the_listener():
    with connected() as (_, other):
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        probes = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert idle + probes * other.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 10
