"""What a client may hold without asking anything, and that nobody who asks is harmed by it."""

import contextlib
import gc
import re
import resource
import select
import socket
import time
import weakref

import pytest

from orion.api.http.connection import MOST_WAITING_BYTES
from orion.api.http.head import MAX_HEAD_BYTES, MAX_HEADERS
from orion.model.errors import NotFound
from orion.process.fd_limits import connections
from unit.api.fake_service import PATIENT_S, FakeService, running, task_view

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POLL = b"GET /tasks?index=7&wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n"
SOON_S = 0.05


@pytest.fixture
def connect(api):
    """Connections to `api`, closed at the end. Those of tests before have ended."""
    api.wait_until(lambda: not open_ones(api))
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(dial(api))


def dial(api):
    return socket.create_connection((api.host, api.port), PATIENT_S)


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
    return api.server.connections.open


# --- a head has its time -----------------------------------------------------------------------------------


@pytest.fixture
def hurry(monkeypatch):
    """Called, it leaves little time to heads that begin from then on."""
    return lambda: monkeypatch.setattr("orion.api.http.connection.HEAD_S", SOON_S)


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /hea", ASK[:-2], ASK[:-1]])
def test_no_whole_head_in_time(hurry, connect, begun):
    hurry()
    connection = connect()
    connection.sendall(begun)
    assert is_closed(connection)


def test_a_head_that_drips_has_no_more_time(hurry, connect):
    hurry()
    connection = connect()
    connection.sendall(ASK[:-2])
    deadline = time.monotonic() + PATIENT_S
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while not select.select([connection], [], [], SOON_S / 10)[0]:
            assert time.monotonic() < deadline, "it goes on for ever"
            connection.sendall(b"X: y\r\n")
    assert is_closed(connection)


def test_the_second_head_has_its_time_too(hurry, connect):
    connection = connect()
    for _ in range(2):
        connection.sendall(ASK)
        assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    hurry()
    connection.sendall(ASK[:-2])
    assert is_closed(connection)


def test_half_a_head_behind_a_request_has_its_time_after_the_answer(hurry, api, connect):
    connection = connect()
    connection.sendall(POLL + ASK[:-2])
    api.wait_until(lambda: api.service.reads)
    hurry()
    assert is_closed(connect())
    api.change(8)
    assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    assert is_closed(connection)


def test_who_has_asked_is_not_hurried(hurry, api, connect):
    """Neither one who waits for news, nor one whose body takes long, nor one who asks again later."""
    waits, sends, kept = connect(), connect(), connect()
    waits.sendall(POLL)
    body = b'{"image": "nginx"}'
    sends.sendall(b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
    kept.sendall(ASK)
    answer(kept)
    api.wait_until(lambda: api.service.reads)
    api.wait_until(lambda: [each._deadline for each in open_ones(api)] == [None] * 3)
    hurry()
    assert is_closed(connect()), "the time of a head has passed"
    sends.sendall(body)
    assert answer(sends)[0].startswith(b"HTTP/1.1 201")
    kept.sendall(ASK)
    assert answer(kept)[0].startswith(b"HTTP/1.1 200")
    api.change(8)
    assert answer(waits)[0].startswith(b"HTTP/1.1 200")


def test_an_empty_line_after_an_answer_does_not_keep_it_for_ever(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", SOON_S)
    with running() as api, dial(api) as connection:
        connection.sendall(ASK + b"\r\n")
        answer(connection)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n")
        assert is_closed(connection)


# --- and so has an answer ----------------------------------------------------------------------------------

MUCH_TO_TAKE = 64 * 1024 * 1024  # what a kernel takes at once, many times over


def much_to_tell():
    service = FakeService()
    service.tasks_by_id = {"much/0": task_view("much", reason="x" * MUCH_TO_TAKE)}
    return service


@contextlib.contextmanager
def deaf(api, request):
    """A client that asks and takes none of its answer, once the server has got rid of all it can; and the
    server's end.
    """
    with socket.socket() as client:
        client.settimeout(PATIENT_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect((api.host, api.port))
        client.sendall(request)
        api.wait_until(lambda: any(each.unsent for each in open_ones(api)))
        yield client, next(iter(open_ones(api)))


def ask(path, *headers):
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, b"Host: localhost", *headers, b"\r\n"])


@pytest.mark.parametrize("close", [[], [b"Connection: close"]])
def test_who_does_not_take_its_answer_is_not_kept_for_ever(monkeypatch, close):
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", SOON_S)
    with running(much_to_tell()) as api, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect((api.host, api.port))
        client.sendall(ask(b"/tasks/much", *close))
        api.wait_until(lambda: api.service.reads)
        api.wait_until(lambda: not open_ones(api))


@pytest.mark.parametrize("wrong", [b"garbage\r\n\r\n", b"\r\n" * MAX_HEAD_BYTES], ids=["malformed", "too much"])
def test_nor_one_that_then_sends_what_is_refused(wrong):
    with running(much_to_tell()) as api, deaf(api, ask(b"/tasks/much")) as (client, connection):
        api.wait_until(lambda: not connection.under_way)
        connection._keep_alive_s = SOON_S  # of the next timer; that of the answer runs already
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(wrong)
        api.wait_until(lambda: not open_ones(api))


def test_nor_one_whose_stream_broke_off(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", SOON_S)
    service = FakeService()
    service.tasks_by_id["web/0"] = task_view("web")
    service.log_items = [b"x" * MUCH_TO_TAKE, NotFound("its node is gone")]
    with running(service) as api, deaf(api, ask(b"/tasks/web/logs")):
        api.wait_until(lambda: service.ended == ["logs"])
        api.wait_until(lambda: not open_ones(api))


def test_nor_one_that_ends_its_half(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", SOON_S)
    service = FakeService()
    service.tasks_by_id["web/0"] = task_view("web")
    service.log_items = [b"x" * MUCH_TO_TAKE]
    service.logs_go_on = True
    with running(service) as api, deaf(api, ask(b"/tasks/web/logs")) as (client, _):
        client.shutdown(socket.SHUT_WR)
        api.wait_until(lambda: not open_ones(api))


@pytest.mark.parametrize("close", [[], [b"Connection: close"]], ids=["keep-alive", "close"])
def test_who_reads_steadily_is_not_cut_off(close):
    """However often its time is over: the test says when it is."""
    with running(much_to_tell()) as api, deaf(api, ask(b"/tasks/much", *close)) as (client, connection):
        api.wait_until(lambda: not connection.under_way)

        def timer():
            return connection._deadline if close else connection._keeping

        def time_is_over():
            before = timer()
            before.cancel()
            if close:
                connection._time_is_over(connection._keep_alive_s)
            else:
                connection._kept_long_enough()
            given_again.append(timer() not in (before, None))
            return True

        def take():
            part = client.recv(1_000_000)
            assert part, "cut off"
            taken.append(part)

        taken, given_again = [], []
        for _ in range(3):
            before = connection.transport.get_write_buffer_size()
            while connection.transport.get_write_buffer_size() >= before:
                take()
            api.wait_until(time_is_over)
        assert given_again == [True] * 3
        head, _, body = b"".join(taken).partition(b"\r\n\r\n")
        left = int(re.search(rb"content-length: (\d+)", head)[1]) - len(body)
        taken.clear()
        while sum(map(len, taken)) < left:
            take()


def test_who_takes_next_to_nothing_is_cut_off(monkeypatch):
    """A little each time would hold the whole answer for ever."""
    monkeypatch.setattr("orion.api.http.connection.LEAST_TAKEN_BYTES", 1 << 30)
    with running(much_to_tell()) as api, deaf(api, ask(b"/tasks/much")) as (client, connection):
        api.wait_until(lambda: not connection.under_way)
        before = connection.transport.get_write_buffer_size()
        while connection.transport.get_write_buffer_size() >= before:
            assert client.recv(1_000_000)
        api.loop.call_soon_threadsafe(connection._kept_long_enough)
        api.wait_until(connection.transport.is_closing)


# --- and its size ------------------------------------------------------------------------------------------

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
MUCH = 4 * MAX_HEAD_BYTES


def refused(connection):
    """Says why, if that still gets through, and closes."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        head, body = answer(connection)
        assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
        assert b"larger than 65536 bytes" in body
    return is_closed(connection)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MAX_HEAD_BYTES,
        HEAD + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\nY",
        HEAD + b"X: y\r\n" * (MAX_HEAD_BYTES // 6),
        HEAD + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n",
        HEAD + b"a:\r\n" * MAX_HEADERS + b"\r\n",
    ],
    ids=["address", "header", "headers", "whole", "tiny headers"],
)
def test_a_head_that_is_too_large_is_told_so(api, connect, head):
    connection = connect()
    connection.sendall(head)
    got, body = answer(connection)
    assert got.startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
    assert b'"code":"too_large"' in body
    assert is_closed(connection)


@pytest.mark.parametrize(
    ("begun", "goes_on"),
    [
        (b"GET /", b"x"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"X", b"x"),
        (HEAD, b"X: y\r\n"),
        (b"", b"\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"y"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ],
    ids=["address", "header", "name", "headers", "nothing", "trailer", "trailers", "extension"],
)
def test_what_has_no_end_is_not_kept(api, connect, begun, goes_on):
    """Whatever the pieces it comes in; answered or not, no more of it is taken than a head may have."""
    connection = connect()
    connection.sendall(begun)
    sent = 0
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 -- any of many
        while sent < 1_000 * MAX_HEAD_BYTES:
            sent += connection.send(goes_on * (10_000 // len(goes_on)))
    api.wait_until(lambda: not [each for each in open_ones(api) if each.client == connection.getsockname()])


def test_an_unfinished_head_is_bounded_before_it_is_whole(api, connect):
    """Nothing of it is answered by then: what closes it is its size, in steps that are no reads' boundaries."""
    connection = connect()
    connection.sendall(HEAD + b"X: ")
    for _ in range(MUCH // 1_000):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"y" * 1_000)
    assert refused(connection)


def test_as_large_as_it_may_be_and_as_often_as_one_likes(api, connect):
    """Each head of a connection counts by itself, one behind the other or in a row; bodies don't count."""
    large = HEAD + b"X: " + b"y" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n"
    connection = connect()
    for _ in range(3):
        connection.sendall(large)
        assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    put = b"PUT /configs/a HTTP/1.1\r\nHost: localhost\r\n"
    body = b"x" * 60_000
    for request in (
        put + b"Content-Length: 60000\r\n\r\n" + body,
        put
        + b"Transfer-Encoding: chunked\r\nX: "
        + b"y" * (MAX_HEAD_BYTES - 200)
        + b"\r\n\r\nea60\r\n"
        + body
        + b"\r\n0\r\n"
        + b"X: y\r\n" * 1_000
        + b"\r\n",
    ):
        for _ in range(3):
            connection.sendall(request)
            assert answer(connection)[0].startswith(b"HTTP/1.1 200")
    task = b'{"image": "nginx"}' + b" " * 1_000_000
    connection.sendall(b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(task) + task)
    assert answer(connection)[0].startswith(b"HTTP/1.1 201")
    small = HEAD + b"\r\n"
    connection.sendall(small * 3_000)
    read = 0
    with connection.makefile("rb") as lines:
        while read < 3_000:
            read += lines.readline().startswith(b'{"ready":true')
    connection.sendall(HEAD + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n")
    assert refused(connection)


def test_no_answer_is_written_into_another(api, connect):
    connection = connect()
    connection.sendall(POLL + b"garbage\r\n\r\n")
    assert is_closed(connection)


@pytest.mark.parametrize("wrong", [HEAD + b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", b"garbage\r\n\r\n"])
def test_what_is_wrong_behind_a_request_is_told_after_its_answer(api, connect, wrong):
    connection = connect()
    connection.sendall(POLL)
    api.wait_until(lambda: api.service.reads)
    connection.sendall(wrong)
    api.wait_until(lambda: any(each._waiting for each in open_ones(api)))
    api.change(8)
    assert re.fullmatch(rb"200 (400|431)", b" ".join(statuses(connection)))


def statuses(connection):
    """Of all answers until it is closed."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            got += more
    return re.findall(rb"HTTP/1.1 (\d+)", got)


def test_requests_that_wait_are_not_understood_before_their_turn(api, connect):
    """One takes a hundred times its bytes once it is."""
    connection, many = connect(), 5_000
    connection.sendall(POLL)
    api.wait_until(lambda: api.service.reads)
    connection.sendall(b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * many + ask(b"/", b"Connection: close"))
    api.wait_until(lambda: any(len(each._waiting) > MOST_WAITING_BYTES for each in open_ones(api)))
    assert max(len(each._exchanges) for each in open_ones(api)) == 1
    assert max(len(each._waiting) for each in open_ones(api)) < MOST_WAITING_BYTES + 300_000
    api.change(8)
    assert statuses(connection) == [b"200"] + [b"404"] * (many + 1)


def test_requests_that_come_with_one_wait_as_bytes_too(api, connect):
    connection = connect()
    connection.sendall(POLL + b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * 500)
    api.wait_until(lambda: api.service.reads)
    assert max(len(each._exchanges) for each in open_ones(api)) < 30


@pytest.mark.parametrize(
    "asked",
    [
        ASK,
        POLL,
        POLL + ASK,
        b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        HEAD + b"X: y\r\n" * 300,
    ],
    ids=["answered", "waits", "two wait", "half a body", "refused"],
)
def test_a_connection_that_ended_leaves_nothing_for_the_collector(api, connect, asked):
    """Reference cycles would pile up: what is old is looked at seldom."""
    gc.collect()
    gc.disable()
    try:
        connection = connect()
        api.wait_until(lambda: open_ones(api))
        (each,) = open_ones(api)
        gone = weakref.ref(each)
        del each
        connection.sendall(asked)
        api.wait_until(lambda: api.service.reads or not asked.startswith(POLL))
        connection.shutdown(socket.SHUT_WR)
        statuses(connection)
        api.wait_until(lambda: gone() is None)
    finally:
        gc.enable()


# --- and there are so many -----------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """A server with room for eight connections, six of them with a request under way."""
    monkeypatch.setattr("orion.api.http.server.MAX_CONNECTIONS", 8)
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
    assert connections(4, most=4_096) == most
