"""Against the kernel: two network namespaces with a cable between them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

SOURCE = Path(__file__).parents[2] / "src"
HERE, THERE = "10.213.9.1", "10.213.9.2"


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


def ask(namespace: str) -> tuple[bool, str]:
    """Sends something to the other end, then what `forget_unanswered` says, and the kernel's table after it."""
    program = f"""
import json, socket
from pathlib import Path
from orion.adapters.docker.neighbours import ARP_TABLE, forget_unanswered
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"x", ({THERE!r}, 9))
while {THERE!r} not in ARP_TABLE.read_text():
    pass
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
    caller.settimeout(0.5)
    caller.connect_ex(({THERE!r}, 9))  # refused where somebody is there, and then the kernel knows who
print(json.dumps([forget_unanswered({THERE!r}), ARP_TABLE.read_text()]))
"""
    command = ["nsenter", f"--net=/var/run/netns/{namespace}", sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, env=environment)
    forgotten, table = json.loads(done.stdout)
    return forgotten, table


def test_what_was_asked_in_vain_is_forgotten(cable):
    forgotten, table = ask(cable[0])
    assert forgotten
    assert THERE not in table


def test_who_has_answered_is_not_forgotten(cable):
    here, there = cable
    ip("-n", there, "addr", "add", f"{THERE}/24", "dev", "cable")
    forgotten, table = ask(here)
    assert not forgotten
    assert THERE in table


def test_who_was_not_asked_for(cable):
    from orion.adapters.docker.neighbours import forget_unanswered

    assert not forget_unanswered("10.213.9.77")
    assert not forget_unanswered("")
    assert not forget_unanswered("fe80::1")
