"""What was done to a job is told by every node, also after the job is gone: real processes, a real engine."""

import json

import pytest

from support import images
from support.command import orion
from support.nodes import Cluster

pytestmark = pytest.mark.engine


@pytest.fixture
def three(shared: Cluster) -> Cluster:
    shared.grow_to(3)
    return shared


def test_every_node_tells_what_was_done_to_a_job_and_still_does_when_it_is_gone(
    three: Cluster, busybox_image: str
) -> None:
    first, *_, last = three.nodes
    three.run("web", image=images.BUSYBOX, command=["sleep", "1000000"])
    for verb in ("stop", "start", "rm"):
        code, _, error = orion(first, verb, "web", timeout_s=120)
        assert code == 0, error
    for node in (first, last):
        code, out, error = orion(node, "history", "web", "-o", "json")
        assert code == 0, error
        told = json.loads(out)
        assert [change["change"] for change in told] == ["created", "stopped", "started", "removed"]
        assert {change["image"] for change in told} == {images.BUSYBOX}
        indexes = [change["index"] for change in told]
        assert indexes == sorted(set(indexes))
    code, out, error = orion(last, "history", "nothing")
    assert (code, out) == (1, "")
    assert "nothing is known of a job nothing" in error
