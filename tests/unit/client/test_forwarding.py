"""Ports of tasks on this machine, over a client that is played."""

import socket
import threading

import pytest

from orion.client.forwarding import Forwarding
from orion.model.errors import Refused, Unavailable

WAIT_S = 120


class Played:
    """A client whose connections fail."""

    def again(self):
        return self

    def connect(self, task, port):
        raise Unavailable(f"{task} has no port {port}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_a_connection_that_fails_is_told_and_the_others_go_on():
    told, heard = [], threading.Semaphore(0)

    def tell(text):
        told.append(text)
        heard.release()

    forwarding = Forwarding(Played(), "web/0", [(0, 80), (0, 81)], "127.0.0.1", tell)
    thread = threading.Thread(target=forwarding.serve)
    thread.start()
    for here, _ in forwarding.ports:
        with socket.create_connection(("127.0.0.1", here), timeout=WAIT_S):
            assert heard.acquire(timeout=WAIT_S)
    forwarding.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert told == ["web/0 has no port 80", "web/0 has no port 81"]
    forwarding.close()  # once more is nothing


def test_a_port_that_is_taken_is_said_and_nothing_is_left_open():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(Refused, match=f"can't listen on 127.0.0.1:{taken}"):
            Forwarding(Played(), "web/0", [(0, 80), (taken, 81)], "127.0.0.1", print)
