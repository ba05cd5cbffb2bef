"""Hosts that vanish from the network without a word: both ends of a stream notice within seconds."""

import subprocess
import sys

import pytest

from support import images
from support.following import COUNTS, following, goes_on, told, whole
from support.lab_nodes import PORT, LabNodes, lab_nodes

pytestmark = [pytest.mark.engine, pytest.mark.root]

CLIENT = 4
LONG_S = 120.0  # many times what it takes


@pytest.fixture
def hosts(docker_host: str, busybox_image: str):
    """Three nodes, and a host for clients."""
    with lab_nodes(docker_host, 3, others=1) as made:
        yield made


def run(hosts: LabNodes, name: str, command: list[str], node: int) -> None:
    wish = {"name": name, "image": images.BUSYBOX, "command": command, "nodeSelectors": {"id": f"node{node}"}}
    hosts.ask(1, "POST", "/tasks?wait=running", wish, timeout_s=LONG_S)


def connections(hosts: LabNodes, host: int) -> list[str]:
    """Those of the client's host to the API of this one, as the kernel there has them."""
    command = [*hosts.enter(host), "ss", "-Htn", "state", "established", f"sport = :{PORT}"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return [line for line in shown.stdout.splitlines() if f"{hosts.lab.address(CLIENT)}:" in line]


def test_following_goes_on_when_the_host_that_is_asked_vanishes(hosts: LabNodes) -> None:
    run(hosts, "web", COUNTS, 3)
    with following([hosts.address(1), hosts.address(2)], "web", enter=hosts.enter(CLIENT)) as follower:
        hosts.wait(goes_on(follower, 1), "the first lines")
        hosts.vanish(1)
        hosts.wait(lambda: follower.notices, "the break told")
        seen = len(follower.lines)
        hosts.wait(lambda: len(follower.lines) > seen + 10, "more lines, by the other node")
        (numbers,) = follower.runs().values()
        assert whole(numbers)


def test_following_goes_on_when_the_host_of_the_task_vanishes(hosts: LabNodes) -> None:
    hosts.ask(1, "POST", "/nodes/node1/drain")
    hosts.ask(1, "POST", "/nodes/node2/drain")
    wish = {"name": "web", "image": images.BUSYBOX, "command": COUNTS}
    hosts.ask(1, "POST", "/tasks?wait=running", wish, timeout_s=LONG_S)
    hosts.ask(1, "POST", "/nodes/node2/ready")
    with following([hosts.address(1)], "web", enter=hosts.enter(CLIENT)) as follower:
        hosts.wait(goes_on(follower, 1), "the first lines")
        hosts.vanish(3)
        hosts.wait(told(follower, "web/0: node3 went down", "; running on node2 since "), "the death told")
        hosts.wait(goes_on(follower, 2), "lines of the new run")


def test_silent_events_break_off_when_the_host_vanishes(hosts: LabNodes) -> None:
    """And go on at the next: the command says so."""
    addresses = f"{hosts.address(1)},{hosts.address(2)}"
    command = [*hosts.enter(CLIENT), sys.executable, "-m", "orion", "events", "-f", "--new", "--addr", addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            hosts.wait(lambda: connections(hosts, 1), "the stream")
            hosts.vanish(1)
            hosts.wait(lambda: connections(hosts, 2), "the stream from the other node", LONG_S)
        finally:
            process.kill()


@pytest.mark.parametrize("reads", [True, False], ids=["which reads", "which has stopped reading"])
def test_connections_of_a_client_whose_host_vanishes_end(hosts: LabNodes, reads: bool) -> None:
    """Its connections end there: with silence, with heartbeats on their way, and with no room for more."""
    run(hosts, "talks", ["sh", "-c", "while :; do head -c 100000 /dev/zero | tr '\\0' x; sleep 0.05; done"], 3)
    run(hosts, "silent", ["sleep", "100000"], 3)
    asked = "GET /tasks/%s/logs?follow HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    script = f"""if True:
        import socket, time
        kept = []
        for task in ("talks", "silent"):
            kept.append(socket.create_connection(({hosts.lab.address(1)!r}, {PORT})))
            kept[-1].sendall(({asked!r} % task).encode())
        while {reads}:
            kept[0].recv(1 << 20)
        time.sleep(1000)
    """
    with subprocess.Popen([*hosts.enter(CLIENT), sys.executable, "-c", script]) as process:
        try:
            hosts.wait(lambda: len(connections(hosts, 1)) == 2, "two streams")
            if not reads:
                hosts.wait(
                    lambda: any(int(line.split()[1]) > 10_000 for line in connections(hosts, 1)), "a full pipe"
                )
            hosts.vanish(CLIENT)
            hosts.wait(lambda: not connections(hosts, 1), "the streams to end")
        finally:
            process.kill()
