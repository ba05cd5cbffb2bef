"""A job is updated under load, and no request is lost: real processes, a real engine, real connections."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.command import orion
from support.deployments import done
from support.nodes import Cluster
from support.traffic import SERVER, Endpoints, Traffic, following_endpoints, traffic

pytestmark = pytest.mark.engine

RATE = 200
STARTS_S = 15  # a busy machine has been a second behind with a container's first steps
CHECK = {
    "http": {"port": 80, "path": "/up"},
    "intervalSeconds": 0.5,
    "timeoutSeconds": 10,
    "retries": 2,
    "startPeriodSeconds": STARTS_S,
}


def put(cluster: Cluster, image: str, release: int) -> dict[str, Any]:
    body = {
        "image": image,
        "command": SERVER,
        "count": 3,
        "env": {"RELEASE": str(release)},
        "healthCheck": CHECK,
        "drainSeconds": 6,
        "stopGraceSeconds": 5,
        "update": {"monitorSeconds": 1, "progressDeadlineSeconds": 240},
    }
    changed: dict[str, Any] = cluster.any().ask("PUT", "/jobs/web", body)
    return changed


@pytest.fixture
def web(shared: Cluster, web_image: str) -> Iterator[tuple[Cluster, Endpoints, Traffic]]:
    """Three nodes, a job of three tasks, and requests to them that never stop."""
    shared.grow_to(3)
    done(shared, put(shared, web_image, 0))
    with following_endpoints([f"127.0.0.1:{n.port}" for n in shared.nodes], "web") as known:
        shared.wait(lambda: len(known.addresses) == 3, "three endpoints")
        with traffic(lambda: known.addresses, RATE) as load:
            yield shared, known, load


def check(known: Endpoints, load: Traffic, servers: int) -> None:
    load.stop()
    assert not load.failed, f"{load.failed} of {load.sent} failed: {list(load.failures)}; {list(known.changes)}"
    assert len(load.servers) >= servers


def test_an_update_loses_no_request(web: tuple[Cluster, Endpoints, Traffic], web_image: str) -> None:
    cluster, known, load = web
    for release in (1, 2):
        done(cluster, put(cluster, web_image, release))
    check(known, load, 9)


def test_the_death_of_the_leader_in_an_update_loses_no_request(
    web: tuple[Cluster, Endpoints, Traffic], web_image: str
) -> None:
    cluster, known, load = web
    changed = put(cluster, web_image, 1)
    cluster.wait(lambda: cluster.any().ask("GET", "/jobs/web")["updated"] >= 1, "a first task of the new version")
    leader = cluster.wait(cluster.leader, "a leader")
    leader.kill()
    done(cluster, changed)
    leader.start(*cluster.joining(leader))
    cluster.wait_settled(3)
    check(known, load, 6)


def test_a_version_that_never_gets_healthy_loses_no_request(web: tuple[Cluster, Endpoints, Traffic]) -> None:
    cluster, known, load = web
    before = cluster.wait(lambda: len(load.servers) == 3 and set(load.servers), "an answer of each task")
    assert before
    code, output, errors = orion(cluster.any(), "update", "web", "-e", "BROKEN=never", timeout_s=120)
    assert code == 3, output + errors
    assert "health check failed: GET /up" in output + errors
    view = cluster.any().ask("GET", "/jobs/web")
    assert (view["deployment"]["state"], view["version"], view["ready"]) == ("rolled-back", 0, 3)
    check(known, load, 3)
    assert load.servers == before
