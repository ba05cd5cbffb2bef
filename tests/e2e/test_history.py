"""What was done to a job is told by every node, also after the job is gone: real processes, a real engine."""

import json
import subprocess
import sys

import pytest

from support import images
from support.nodes import Cluster

pytestmark = pytest.mark.engine


@pytest.fixture
def three(shared: Cluster) -> Cluster:
    shared.grow_to(3)
    return shared


def orion(node, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orion", *args[:1], "--port", str(node.port), *args[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_node_tells_what_was_done_to_a_job_and_still_does_when_it_is_gone(
    three: Cluster, busybox_image: str
) -> None:
    first, *_, last = three.nodes
    three.run("web", image=images.BUSYBOX, command=["sleep", "1000000"])
    for verb in ("stop", "start", "rm"):
        done = orion(first, verb, "web")
        assert done.returncode == 0, done.stderr
    for node in (first, last):
        done = orion(node, "history", "web", "-o", "json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [change["change"] for change in told] == ["created", "stopped", "started", "removed"]
        assert {change["image"] for change in told} == {images.BUSYBOX}
        indexes = [change["index"] for change in told]
        assert indexes == sorted(set(indexes))
    done = orion(last, "history", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is known of a job nothing" in done.stderr
