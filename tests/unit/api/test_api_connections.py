"""What a client may hold without asking anything, and that nobody who asks is harmed by it."""

import contextlib
import resource
import select
import socket
import time

import pytest

from orion.api.connection import most_connections
from unit.api.fake_service import FakeService, running, task_view

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POLL = b"GET /tasks?index=7&wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON_S = 0.05


@pytest.fixture
def connect(api):
    """Connections to `api`, closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(dial(api))


def dial(api):
    return socket.create_connection((api.host, api.port), 10)


def is_closed(connection):
    """Waits for its end. One that stays open is a TimeoutError."""
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def answer(connection):
    """The whole answer, by its content-length."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65_536)
        assert more, f"it ends after {got!r}"
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return head, body


def open_ones(api):
    return api.server._uvicorn.server_state.connections


# --- a head has its time -----------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr("orion.api.connection.HEAD_S", SOON_S)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /hea", ASK[:-2], ASK[:-1]])
def test_no_whole_head_in_time(hurried, api, connect, begun):
    connection = connect()
    connection.sendall(begun)
    assert is_closed(connection)


def test_a_head_that_drips_has_no_more_time(hurried, api, connect):
    connection = connect()
    connection.sendall(ASK[:-2])
    deadline = time.monotonic() + 10
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while not select.select([connection], [], [], SOON_S / 10)[0] and time.monotonic() < deadline:
            connection.sendall(b"X: y\r\n")
    assert is_closed(connection)


def test_the_second_head_has_its_time_too(hurried, api, connect):
    connection = connect()
    for _ in range(2):
        connection.sendall(ASK)
        assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    connection.sendall(ASK[:-2])
    assert is_closed(connection)


def test_half_a_head_behind_a_request_has_its_time_after_the_answer(hurried, api, connect):
    connection = connect()
    connection.sendall(POLL + ASK[:-2])
    api.wait_until(lambda: api.service.reads)
    assert is_closed(connect())
    api.change(8)
    assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    assert is_closed(connection)


def test_who_has_asked_is_not_hurried(hurried, api, connect):
    """Neither one who waits for news, nor one whose body takes long, nor one who asks again later."""
    waits, sends, kept = connect(), connect(), connect()
    waits.sendall(POLL)
    body = b'{"image": "nginx"}'
    sends.sendall(b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
    kept.sendall(ASK)
    answer(kept)
    api.wait_until(lambda: api.service.reads)
    assert is_closed(connect()), "the time of a head has passed"
    sends.sendall(body)
    assert answer(sends)[0].startswith(b"HTTP/1.1 201")
    kept.sendall(ASK)
    assert answer(kept)[0].startswith(b"HTTP/1.1 200")
    api.change(8)
    assert answer(waits)[0].startswith(b"HTTP/1.1 200")


def test_an_empty_line_after_an_answer_does_not_keep_it_for_ever(monkeypatch):
    monkeypatch.setattr("orion.api.server.KEEP_ALIVE_S", SOON_S)
    with running() as api, dial(api) as connection:
        connection.sendall(ASK + b"\r\n")
        answer(connection)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n")
        assert is_closed(connection)


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_who_does_not_take_its_answer_is_not_kept_for_ever(monkeypatch, close):
    monkeypatch.setattr("orion.api.server.KEEP_ALIVE_S", SOON_S)
    service = FakeService()
    service.tasks_by_id = {f"t{i}/0": task_view(f"t{i}", reason="x" * 10_000) for i in range(2_000)}
    with running(service) as api, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect((api.host, api.port))
        deaf.sendall(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n" + close + b"\r\n")
        api.wait_until(lambda: service.reads)
        api.wait_until(lambda: not open_ones(api))


# --- and there are so many -----------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """A server with room for eight connections, six of them with a request under way."""
    monkeypatch.setattr("orion.api.connection.FEWEST_CONNECTIONS", 1)
    monkeypatch.setattr("orion.api.connection.MAX_CONNECTIONS", 8)
    with running() as api, contextlib.ExitStack() as stack:
        api.dial = lambda: stack.enter_context(dial(api))
        yield api


def silent(api, count):
    """So many that ask nothing, in the order in which the server has them."""
    made = []
    for _ in range(count):
        before = set(open_ones(api))
        made.append(api.dial())
        api.wait_until(lambda before=before: set(open_ones(api)) - before)
    return made


def test_the_one_that_has_asked_nothing_for_longest_makes_room(small):
    waits = small.dial()
    waits.sendall(POLL)
    small.wait_until(lambda: small.service.reads)
    kept, *others = silent(small, 7)
    kept.sendall(ASK)
    answer(kept)
    more = silent(small, 2)
    assert is_closed(others[0])
    assert is_closed(others[1])
    for still in (kept, *others[2:], *more):
        still.sendall(ASK)
        assert answer(still)[0].startswith(b"HTTP/1.1 200")
    silent(small, 100)
    assert len(open_ones(small)) == 8
    small.change(8)
    assert answer(waits)[0].startswith(b"HTTP/1.1 200")


def test_when_all_are_in_use_it_is_said_and_nobody_is_cut_off(small):
    waiting = [small.dial() for _ in range(6)]
    for connection in waiting:
        connection.sendall(POLL)
    small.wait_until(lambda: len(small.service.reads) == 6)
    one_too_many = small.dial()
    one_too_many.sendall(ASK)
    head, body = answer(one_too_many)
    assert head.startswith(b"HTTP/1.1 503")
    assert b"as many requests under way as it takes" in body
    assert is_closed(one_too_many)
    silent(small, 100)
    waiting.pop().close()
    small.wait_until(lambda: small.service.ended == ["poll"])
    next_one = small.dial()
    next_one.sendall(ASK)
    assert answer(next_one)[0].startswith(b"HTTP/1.1 200")
    small.change(8)
    for connection in waiting:
        assert answer(connection)[0].startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("files", "most"), [(20, 16), (256, 64), (1_024, 256), (1_048_576, 4_096), (resource.RLIM_INFINITY, 4_096)]
)
def test_how_many_follows_from_how_many_files_may_be_open(monkeypatch, files, most):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert most_connections() == most
