"""The parts of the adapter's HTTP client that do no I/O: addresses, requests, and how far an answer has come."""

import asyncio
import collections
from pathlib import Path

import pytest

from orion.adapters.docker.http.address import Address, Tls, address_from
from orion.adapters.docker.http.channel import MOST_HELD_BYTES, Channel
from orion.adapters.docker.http.parser import MAX_HEAD_BYTES, AnswerParser, BrokenAnswer
from orion.adapters.docker.http.request import request_bytes, target

# --- addresses ---------------------------------------------------------------------------------------------

VERIFIED = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
CERTS = Tls(Path("/certs"))


@pytest.mark.parametrize(
    ("docker_host", "environment", "address"),
    [
        ("unix:///var/run/docker.sock", {}, Address(socket="/var/run/docker.sock")),
        ("unix:///var/run/docker.sock", VERIFIED, Address(socket="/var/run/docker.sock")),
        ("tcp://10.0.0.1:2375", {}, Address(host="10.0.0.1", port=2375)),
        ("tcp://10.0.0.1", {}, Address(host="10.0.0.1", port=2375)),
        ("tcp://10.0.0.1", VERIFIED, Address(host="10.0.0.1", port=2376, tls=CERTS)),
        ("tcp://engine.example:1", VERIFIED, Address(host="engine.example", port=1, tls=CERTS)),
        ("tcp://[::1]:2375", {}, Address(host="::1", port=2375)),
        ("http://h", {}, Address(host="h", port=80)),
        ("https://h", {}, Address(host="h", port=443, tls=Tls(None))),
        ("https://h/behind/a/proxy/", VERIFIED, Address(host="h", port=443, prefix="/behind/a/proxy", tls=CERTS)),
        ("tcp://h", {"DOCKER_TLS_VERIFY": ""}, Address(host="h", port=2375)),
        ("tcp://h", {"DOCKER_TLS_VERIFY": "0"}, Address(host="h", port=2375)),
        ("tcp://h", {"DOCKER_TLS_VERIFY": "yes"}, Address(host="h", port=2376, tls=Tls(Path("~/.docker")))),
        (
            "tcp://h",
            {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/config"},
            Address(host="h", port=2376, tls=Tls(Path("/config"))),
        ),
    ],
)
def test_addresses_as_docker_has_them(docker_host, environment, address):
    assert address_from(docker_host, environment) == address


@pytest.mark.parametrize(
    "docker_host",
    [
        "",
        "somewhere",
        "/var/run/docker.sock",
        "unix://",
        "ssh://h",
        "npipe:////./pipe/x",
        "tcp://",
        "tcp://:1",
        "tcp://h:port",
        "tcp://h:99999",
        "tcp://user@h",
        "tcp://h?x=1",
        "tcp://h#x",
        "tcp://h h",
        "tcp://h\r\nX: y",
        "tcp://[::1",
    ],
)
def test_what_is_no_address(docker_host):
    with pytest.raises(ValueError):
        address_from(docker_host, {})


@pytest.mark.parametrize(
    ("address", "authority"),
    [
        (Address(socket="/s"), "localhost"),
        (Address(host="h", port=1), "h:1"),
        (Address(host="::1", port=1), "[::1]:1"),
    ],
)
def test_whom_a_request_is_for(address, authority):
    assert address.authority == authority


# --- requests ----------------------------------------------------------------------------------------------


def test_a_request():
    assert request_bytes("GET", "/x", {"Host": "h"}) == b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request_bytes("POST", "/x", {}) == b"POST /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    assert request_bytes("PUT", "/x", {}, b"ab") == b"PUT /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
    upgrade = b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    assert request_bytes("POST", "/x", {}, upgrade=True) == b"POST /x HTTP/1.1\r\n" + upgrade


@pytest.mark.parametrize("header", [("X", "a\r\nY: b"), ("X", "é"), ("X\r\nY", "a"), ("", "a"), ("X Y", "a")])
def test_a_header_that_would_be_more_than_one_is_refused(header):
    with pytest.raises(ValueError, match="no HTTP header"):
        request_bytes("GET", "/x", dict([header]))


def test_a_path_and_its_query():
    assert target("/v1.41/images/h:5000/a/b@sha256:00/json") == "/v1.41/images/h:5000/a/b@sha256:00/json"
    assert target("/a b?c#d\r\n") == "/a%20b%3Fc%23d%0D%0A"
    assert target("/x", {"filters": '{"a": ["b&c"]}', "t": "0"}) == (
        "/x?filters=%7B%22a%22%3A%20%5B%22b%26c%22%5D%7D&t=0"
    )


# --- answers -----------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 5\r\n\r\n"


def test_a_head_is_there_before_its_body():
    parser = AnswerParser("GET")
    assert parser.feed(HEAD[:-1]) == []
    assert parser.head is None
    assert parser.feed(HEAD[-1:]) == []
    assert parser.head is not None
    assert (parser.head.status, parser.head.reason, parser.head.headers["api-version"]) == (200, "OK", "1.41")
    assert not parser.complete
    assert parser.feed(b"hello") == [b"hello"]
    assert (parser.complete, parser.reusable) == (True, True)
    parser.end()
    assert not parser.reusable


def test_what_comes_after_an_answer_makes_its_connection_unfit():
    parser = AnswerParser("GET")
    parser.feed(HEAD + b"hello")
    assert parser.reusable
    assert parser.feed(b"x") == []
    assert (parser.complete, parser.reusable) == (True, False)


def test_a_head_of_one_byte_at_a_time_has_a_bound():
    parser = AnswerParser("GET")
    parser.feed(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(MAX_HEAD_BYTES - 100):
        parser.feed(b"x")
    with pytest.raises(BrokenAnswer, match="bytes of headers"):
        collections.deque(map(parser.feed, [b"x"] * 101))


class Transport:
    """Notes whether it is to read on."""

    def __init__(self):
        self.reads = True

    def set_write_buffer_limits(self, high): ...

    def write(self, data): ...

    def is_closing(self):
        return False

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True


def test_a_body_that_nobody_takes_is_not_read_on():
    async def check():
        channel, transport = Channel(), Transport()
        channel.connection_made(transport)
        channel.begin(b"", AnswerParser("GET"))
        channel.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
        piece, pieces = b"x" * 10_000, 0
        while transport.reads and pieces < 1_000:
            channel.data_received(piece)
            pieces += 1
        assert pieces * len(piece) <= MOST_HELD_BYTES + len(piece)
        for _ in range(pieces):
            assert await channel.piece() == piece
        assert transport.reads

    asyncio.run(check())
