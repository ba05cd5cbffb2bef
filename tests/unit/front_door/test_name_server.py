"""The front door's name server on a real socket."""

import socket

import pytest

from orion.front_door.names import Addresses, NameServer
from orion.front_door.sites import Backend
from support import dns


@pytest.fixture
def client():
    addresses = Addresses()
    addresses.put("web", (Backend(bytes([10, 0, 0, 1]), 8080),))
    server = NameServer(addresses)
    server.start()
    host, _, port = server.address.removeprefix("udp/").rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(120)
        sock.connect((host, int(port)))
        yield sock


def test_it_answers_and_goes_on_after_what_is_no_question(client):
    for sent in (b"", b"x" * 5_000, b"\0" * 12, dns.query("web.door", 33)):
        client.send(sent)
    answer = client.recv(4_096)
    assert answer[3] & 15 == 0
    assert (8080).to_bytes(2, "big") in answer
    assert b"\x09x0a000001" in answer
