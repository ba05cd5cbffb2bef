"""A task's container has the host name that was asked for: real processes, a real engine."""

import json

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["db", "DB-1.example.org", "9", "a" * 63, f"{'a' * 60}.bbb"])
def test_a_container_has_the_host_name_asked_for(one: Cluster, busybox_image: str, name: str) -> None:
    done = orion(one.nodes[0], "run", "--rm", "--hostname", name, images.BUSYBOX, "hostname", timeout_s=120)
    assert done == (0, f"{name}\n", "")


def test_the_host_name_is_shown_and_without_one_it_is_the_engine_s_choice(one: Cluster, busybox_image: str) -> None:
    command = ["sh", "-c", "hostname; exec sleep 1000000"]
    one.run("named", image=images.BUSYBOX, command=command, hostname="db.lan")
    one.run("bare", image=images.BUSYBOX, command=command)
    assert json.loads(orion(one.nodes[0], "inspect", "named")[1])["hostname"] == "db.lan"
    assert (one.task("named")["hostname"], one.task("bare")["hostname"]) == ("db.lan", "")
    one.wait(lambda: one.any().ask("GET", "/tasks/named/logs") == "db.lan\n", "its words")
    container = one.wait_task("bare", "running")["allocations"][-1]["containerId"]
    one.wait(lambda: one.any().ask("GET", "/tasks/bare/logs") == f"{container[:12]}\n", "its words")


def test_what_linux_takes_for_no_host_name_is_refused_before_anything_is_made(
    one: Cluster, busybox_image: str
) -> None:
    code, out, error = orion(one.nodes[0], "run", "--hostname", f"{'a' * 60}.bbbb", images.BUSYBOX)
    assert (code, out) == (2, "")
    assert error.startswith(f"orion: --hostname '{'a' * 60}.bbbb' is no host name: write letters")
    assert one.any().ask("GET", "/tasks") == []
