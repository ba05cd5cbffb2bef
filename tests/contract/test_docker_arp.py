"""Against the kernel: two network namespaces with a cable between them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion.adapters.docker.arp import answer_for

pytestmark = pytest.mark.root

SOURCE = Path(__file__).parents[2] / "src"
HERE, THERE, MAC = "10.213.9.1", "10.213.9.2", "02:00:00:00:00:07"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    here, there = (f"orion-arp-{os.getpid()}-{end}" for end in "ab")
    with contextlib.ExitStack() as stack:
        for name in (here, there):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
        ip("-n", here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        for name in (here, there):
            ip("-n", name, "link", "set", "cable", "up")
        ip("-n", here, "addr", "add", f"{HERE}/24", "dev", "cable")
        yield here, there


def ask(namespace: str, within_s: float = 0.5) -> tuple[bool, str]:
    """Sends something to the other end, then what `answer_for` says, and the kernel's table after it.

    `within_s`: how long an answer of the other end is waited for.
    """
    program = f"""
import json, socket
from pathlib import Path
from orion.adapters.docker.arp import ARP_TABLE, answer_for
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"x", ({THERE!r}, 9))
while {THERE!r} not in ARP_TABLE.read_text():
    pass
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
    caller.settimeout({within_s})
    caller.connect_ex(({THERE!r}, 9))  # refused where somebody is there, and then the kernel knows who
print(json.dumps([answer_for({THERE!r}, {MAC!r}), ARP_TABLE.read_text()]))
"""
    command = ["nsenter", f"--net=/var/run/netns/{namespace}", sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, env=environment)
    forgotten, table = json.loads(done.stdout)
    return forgotten, table


def line_of(table: str) -> list[str]:
    return next(line.split() for line in table.splitlines() if line.startswith(f"{THERE} "))


def test_a_question_without_an_answer_is_answered(cable):
    answered, table = ask(cable[0])
    assert answered
    assert line_of(table)[2:4] == ["0x2", MAC]


def test_a_neighbour_that_has_answered_is_left_as_it_is(cable):
    here, there = cable
    ip("-n", there, "addr", "add", f"{THERE}/24", "dev", "cable")
    answered, table = ask(here, within_s=5)
    assert not answered
    assert line_of(table)[2] == "0x2"
    assert line_of(table)[3] != MAC


def test_an_address_that_was_not_asked_for_is_not_answered():
    for address in ("10.213.9.77", "", "fe80::1"):
        assert not answer_for(address, MAC)
