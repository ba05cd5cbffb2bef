"""`orion run` and what goes with it, as those who know Docker expect it: real processes, a real engine."""

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine


def test_what_follows_the_image_reaches_the_program(shared: Cluster, busybox_image: str) -> None:
    """Orion's own options among it: they end at IMAGE."""
    shared.grow_to(1)
    node = shared.nodes[0]
    asked = {
        "port": ("echo", "redis-server", "--port", "6380"),
        "shell": ("sh", "-c", "echo hello"),
        "publish": ("echo", "-p", "9000", "--wait", "--name=x", "--help", "--", "-h"),
    }
    for name, words in asked.items():
        assert orion(node, "run", "--restart", "no", "--name", name, images.BUSYBOX, *words) == (
            0,
            f"{name}/0\n",
            "",
        )
    for name, words in asked.items():
        assert shared.wait_task(name, "completed")["command"] == list(words)
    assert orion(node, "logs", "port") == (0, "redis-server --port 6380\n", "")
    assert orion(node, "logs", "shell") == (0, "hello\n", "")
    assert orion(node, "logs", "publish") == (0, "-p 9000 --wait --name=x --help -- -h\n", "")
