"""HTTP as the server speaks it, byte by byte."""

import contextlib
import re
import socket
import time
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from unit.api.fake_service import PATIENT_S, FakeService, running, task_view

END = b"\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def dial(api):
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection((api.host, api.port), PATIENT_S))


def read_until(connection, end):
    got = b""
    while not got.endswith(end):
        more = connection.recv(65_536)
        assert more, f"it ends after {got!r}"
        got += more
    return got


def all_of(connection):
    got = b""
    while more := connection.recv(65_536):
        got += more
    return got


def test_requests_that_come_at_once_are_answered_in_their_order(dial):
    connection = dial()
    asked = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connection.sendall(HEALTH + asked + HEALTH + asked.replace(b"Host", b"Connection: close\r\nHost"))
    assert re.findall(rb"HTTP/1.1 (\d+)", all_of(connection)) == [b"200", b"404", b"200", b"404"]


def test_a_request_of_one_byte_at_a_time(dial):
    connection = dial()
    for byte in HEALTH:
        connection.sendall(bytes([byte]))
    assert read_until(connection, b"\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_in_chunks(api, dial):
    connection, body = dial(), b'{"image": "nginx", "name": "web"}'
    head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    connection.sendall(head + chunks + b"0\r\nDigest: x\r\n\r\n" + HEALTH)
    answers = re.findall(rb"HTTP/1.1 (\d+)", read_until(connection, b'"leader"}\n'))
    assert answers == [b"201", b"200"]


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(dial):
    connection, body = dial(), b'{"image": "nginx"}'
    head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body))
    assert read_until(connection, END) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert read_until(connection, b"\n").startswith(b"HTTP/1.1 201 Created\r\n")


def test_leave_to_send_a_body_is_no_part_of_http_1_0(dial):
    connection, body = dial(), b'{"image": "nginx"}'
    head = b"POST /tasks HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)
    assert all_of(connection).startswith(b"HTTP/1.1 201 Created\r\n")


@pytest.mark.parametrize(("sent", "closes"), [(b"", True), (b"hello", False)])
def test_a_body_that_may_be_left_out_ends_the_connection(dial, sent, closes):
    """It may leave the body out: what comes next is a request to it, and would be a body here."""
    connection = dial()
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    connection.sendall(head + sent)
    got = connection.recv(65_536)
    assert got.startswith(b"HTTP/1.1 404")
    assert (b"connection: close\r\n" in got) is closes


def test_head_has_the_length_and_not_the_body(dial):
    connection = dial()
    connection.sendall(HEALTH.replace(b"GET", b"HEAD") + HEALTH.replace(b"Host", b"Connection: close\r\nHost"))
    answers = all_of(connection)
    assert re.findall(rb"content-length: (\d+)", answers) == [b"%d" % len(answers.rpartition(END)[2])] * 2
    assert answers.count(b"leader") == 1


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        (HEALTH, True),
        (HEALTH.replace(b"1.1", b"1.0"), False),
        (HEALTH.replace(b"Host", b"Connection: close\r\nHost"), False),
        (HEALTH.replace(b"1.1", b"1.0").replace(b"Host", b"Connection: keep-alive\r\nHost"), False),
    ],
)
def test_a_connection_goes_on_unless_the_client_said_otherwise(dial, asked, stays):
    connection = dial()
    connection.sendall(asked)
    assert (
        b"connection: close" in read_until(connection, END + b'{"ready":true,"detail":"leader"}\n')
    ) is not stays
    if stays:
        connection.sendall(HEALTH)
    assert bool(all_of_now(connection)) is stays


def all_of_now(connection):
    """What comes next, b"" when the connection ends instead."""
    return connection.recv(1)


def test_a_stream_that_goes_on_comes_in_chunks(dial, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    connection = dial()
    connection.sendall(b"GET /tasks/web/logs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    got = read_until(connection, b"0\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in got
    assert b"4\r\none\n\r\n" in got


def test_http_1_0_gets_it_without_chunks(dial, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    connection = dial()
    connection.sendall(b"GET /tasks/web/logs HTTP/1.0\r\n\r\n")
    head, _, body = all_of(connection).partition(END)
    assert b"transfer-encoding" not in head
    assert body == b"one\ntwo\n"


@pytest.mark.parametrize(
    "asked",
    [
        HEALTH.replace(
            b"Host", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nHost"
        ),
        HEALTH.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost"),
        HEALTH.replace(b"/healthz", b"http://localhost/healthz"),
        HEALTH.replace(b"/healthz", b"/%68ealthz"),
        HEALTH.replace(b"/healthz", b"*"),
        b"\r\n" + HEALTH,
    ],
)
def test_odd_requests_are_answered(dial, asked):
    connection = dial()
    connection.sendall(asked)
    status = b"404 Not Found" if b" * " in asked else b"200 OK"
    assert read_until(connection, b"\n").startswith(b"HTTP/1.1 " + status)


def test_a_request_behind_one_that_asks_for_another_protocol_is_answered(dial):
    connection = dial()
    connection.sendall(HEALTH.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost") * 2 + HEALTH)
    got = b""
    while got.count(b'"leader"}\n') < 3:
        got += connection.recv(65_536)


@pytest.mark.parametrize("framing", [b"Content-Length: 41", b"Transfer-Encoding: chunked"])
def test_the_body_of_a_request_for_another_protocol_is_never_a_request(dial, api, framing):
    api.service.tasks_by_id["web/0"] = task_view("web")
    connection = dial()
    upgrade = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n%b\r\n\r\n"
    connection.sendall(upgrade % framing)
    got = read_until(connection, b"\n")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"DELETE /tasks/web HTTP/1.1\r\nHost: a\r\n\r\n")
        got += all_of(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"400"]
    assert b"leave out its Upgrade header" in got
    assert api.service.tasks_by_id


@pytest.mark.parametrize(
    "asked",
    [
        HEALTH.replace(b"/healthz", b"healthz"),
        HEALTH.replace(b"HTTP/1.1", b"HTTP/9.9"),
        HEALTH.replace(b"Host: localhost", b"Host localhost"),
        HEALTH.replace(b"Host", b"Content-Length: 1\r\nContent-Length: 2\r\nHost"),
        HEALTH.replace(b"Host", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nHost"),
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEALTH.replace(b"Host: localhost\r\n", b""),
        HEALTH.replace(b"Host: localhost\r\n", b"Host: localhost\r\nHost: evil.example\r\n"),
        HEALTH.replace(b"HTTP/1.1", b"HTTP/2.0"),
        HEALTH.replace(b"HTTP/1.1", b"HTTP/0.9"),
        b"GET /healthz\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        POST + b"Content-Length: +2\r\n\r\n{}",
        POST + b"Content-Length : 2\r\n\r\n{}",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: identity\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        POST + CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
        POST + CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
        POST + CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
        POST + CHUNKED + b"2\n{}\n0\n\n",
        POST + CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
        POST + CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_and_the_connection_closed(dial, asked):
    connection = dial()
    connection.sendall(asked)
    got = all_of(connection)
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n"), got
    assert b"application/problem+json" in got


def test_an_answer_that_fails_before_it_began_is_a_500_and_after_that_an_end(monkeypatch):
    async def fails(scope, receive, send):
        raise ZeroDivisionError

    async def fails_later(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    for app, expected in ((fails, b"HTTP/1.1 500 Internal"), (fails_later, b"half")):
        with running(FakeService()) as api:
            monkeypatch.setattr(api.server, "_app", Wrapped(app, api.server._app.limits))
            with socket.create_connection((api.host, api.port), PATIENT_S) as connection:
                connection.sendall(HEALTH)
                assert expected in all_of(connection)


def test_an_answer_to_a_connection_that_was_just_lost_is_not_written(monkeypatch, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        next(iter(api.server.connections.open)).transport.abort()
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    with running(FakeService()) as api:
        monkeypatch.setattr(api.server, "_app", Wrapped(app, api.server._app.limits))
        with socket.create_connection((api.host, api.port), PATIENT_S) as connection:
            connection.sendall(HEALTH)
            all_of(connection)
    assert not caplog.records


class Wrapped:
    def __init__(self, app, limits):
        self.limits = limits
        self._app = app

    async def __call__(self, scope, receive, send):
        await self._app(scope, receive, send)


def test_a_header_can_t_smuggle_another(monkeypatch):
    async def app(scope, receive, send):
        headers = [(b"x", b"a\r\ny: b"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    with running(FakeService()) as api:
        monkeypatch.setattr(api.server, "_app", Wrapped(app, api.server._app.limits))
        with socket.create_connection((api.host, api.port), PATIENT_S) as connection:
            connection.sendall(HEALTH)
            got = all_of(connection)
            assert b"y: b" not in got


def test_the_date_of_an_answer_is_as_http_has_it(dial):
    connection = dial()
    connection.sendall(HEALTH)
    date = re.search(rb"\r\ndate: (.*)\r\n", read_until(connection, b"\n"))
    said = parsedate_to_datetime(date[1].decode())
    assert format_datetime(said, usegmt=True).encode() == date[1]
    assert abs(said.timestamp() - time.time()) < 60


@pytest.mark.parametrize("asked", ["/tasks/web/logs?follow=1", "/tasks?index=7&wait=600"])
@pytest.mark.parametrize("behind", ["a body", "requests"])
def test_a_client_of_which_nothing_more_is_read_is_seen_to_hang_up(monkeypatch, asked, behind):
    monkeypatch.setattr("orion.api.http.connection.LOOK_S", 0.01)
    service = FakeService()
    service.tasks_by_id["web/0"] = task_view("web")
    service.logs_go_on = True
    first = f"GET {asked} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    begun, more = b"", HEALTH * 3_000
    if behind == "a body":
        begun, more = POST + b"Content-Length: 200000\r\n\r\n", b"x" * 100_000
    with running(service) as api, socket.create_connection((api.host, api.port), PATIENT_S) as connection:
        connection.sendall(first + begun)
        api.wait_until(lambda: service.reads)
        connection.sendall(more)
        api.wait_until(lambda: [each for each in api.server.connections.open if not each._reads])
        connection.close()
        api.wait_until(lambda: service.ended in (["logs"], ["poll"]))


def test_a_request_with_others_behind_it_ends_when_its_client_hangs_up(dial, api):
    connection = dial()
    connection.sendall(b"GET /tasks?index=7&wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEALTH)
    api.wait_until(lambda: api.service.reads)
    connection.close()
    api.wait_until(lambda: api.service.ended == ["poll"])
