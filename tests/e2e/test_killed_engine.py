"""dockerd is killed and started again, with containers that it has to stop before it answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.dockerd import Dockerd
from support.nodes import Cluster, cluster

pytestmark = [pytest.mark.engine, pytest.mark.root]

OBEYS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]


@pytest.fixture
def alone(own_engine: Dockerd) -> Iterator[Cluster]:
    with cluster(own_engine.host) as made:
        made.grow_to(1)
        yield made


def test_a_killed_engine_ends_no_service(alone: Cluster, own_engine: Dockerd) -> None:
    """Its programs end with 0 when they are told to, and one takes longer to end than any constant."""
    image = "orion-test/busybox"
    alone.run("nginx", image=image, command=OBEYS)
    alone.run("stubborn", image=image, command=STUBBORN)
    before = alone.task("nginx")["startedAt"]
    own_engine.kill_daemon()
    own_engine.start()

    def again() -> dict[str, Any] | None:
        task = alone.task("nginx")
        return task if task["state"] == "running" and task["startedAt"] != before else None

    found = alone.wait(again, "nginx again", 300)
    assert [a["restarts"] for a in found["allocations"]] == [0], found


def test_a_service_of_a_machine_that_was_switched_off_in_order_runs_again(
    alone: Cluster, own_engine: Dockerd
) -> None:
    """Nobody was there to see why it ended."""
    node = alone.nodes[0]
    alone.run("nginx", image="orion-test/busybox", command=OBEYS)
    before = alone.task("nginx")["startedAt"]
    node.stop()
    own_engine.stop()
    own_engine.start()
    node.start()
    alone.wait(lambda: (t := alone.task("nginx"))["startedAt"] != before and t["state"] == "running", "nginx", 300)
