"""Jobs of many tasks are changed on real nodes: real processes, a real engine."""

import pytest

from support import images
from support.deployments import done, ended
from support.nodes import Cluster, Problem

pytestmark = pytest.mark.engine

SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]
UPDATE = {"monitorSeconds": 1, "progressDeadlineSeconds": 240}
# For so much longer than it runs that its end is told in time, though an engine or a node stands still; no longer
# than that, as what is gone back to is watched for the same time.
WATCHED = {"update": UPDATE | {"monitorSeconds": 10}}


def put(cluster: Cluster, name: str, **job: object) -> dict:
    body = {"image": images.BUSYBOX, "command": SLEEP, "stopGraceSeconds": 2, "update": UPDATE} | job
    return cluster.any().ask("PUT", f"/jobs/{name}", body)


def job(cluster: Cluster, name: str) -> dict:
    return cluster.any().ask("GET", f"/jobs/{name}")


def test_a_job_is_made_changed_scaled_and_taken_back(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    made = put(shared, "web", count=3)
    done(shared, made)
    assert (job(shared, "web")["ready"], job(shared, "web")["version"]) == (3, 0)
    changed = put(shared, "web", count=3, env={"A": "1"})
    assert (changed["version"], changed["deployment"]["fromVersion"]) == (1, 0)
    done(shared, changed)
    now = job(shared, "web")
    assert (now["ready"], now["updated"]) == (3, 3)
    again = put(shared, "web", count=3, env={"A": "1"})
    assert again["deployment"]["id"] == changed["deployment"]["id"]
    more = shared.any().ask("PUT", "/jobs/web/count", {"count": 5})
    done(shared, more)
    back = shared.any().ask("POST", "/jobs/web/rollback")
    done(shared, back)
    now = job(shared, "web")
    assert (now["version"], now["env"], now["ready"], now["count"]) == (0, {}, 5, 5)
    fewer = shared.any().ask("PUT", "/jobs/web/count", {"count": 1})
    done(shared, fewer)
    assert [t["id"] for t in shared.any().ask("GET", "/tasks")] == ["web/0"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"command": ["sh", "-c", "echo no; exit 3"]} | WATCHED, "exit code 3"),
        ({"command": ["sh", "-c", "sleep 0.7; exit 4"]} | WATCHED, "exit code 4"),
        ({"image": "orion-test/nothing:here"}, "orion-test/nothing:here"),
    ],
)
def test_a_bad_version_is_taken_back(shared: Cluster, busybox_image: str, wrong: dict, why: str) -> None:
    shared.grow_to(3)
    done(shared, put(shared, "web", count=2))
    kept = {t["allocations"][-1]["id"] for t in shared.any().ask("GET", "/tasks")}
    end = ended(shared, put(shared, "web", count=2, **wrong))
    assert end["state"] == "rolled-back", end
    assert why in end["reason"]
    now = job(shared, "web")
    assert (now["version"], now["ready"], now["command"]) == (0, 2, SLEEP)
    running = [
        a["id"] for t in shared.any().ask("GET", "/tasks") for a in t["allocations"] if a["state"] == "running"
    ]
    assert set(running) == kept


def test_a_deployment_survives_the_death_of_its_leader(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    done(shared, put(shared, "web", count=3))
    changed = put(shared, "web", count=3, env={"A": "2"})
    shared.wait(lambda: job(shared, "web")["updated"] >= 1, "a first task of the new version")
    leader = shared.wait(shared.leader, "a leader")
    leader.kill()
    done(shared, changed)
    assert (job(shared, "web")["ready"], job(shared, "web")["updated"]) == (3, 3)


def test_it_is_changed_only_at_the_version_that_was_looked_at(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(1)
    put(shared, "web", count=0)
    with pytest.raises(Problem) as refused:
        shared.any().ask("PUT", "/jobs/web", {"image": "x"}, headers={"If-Match": '"7"'})
    assert refused.value.status == 409
    assert "web is at version 0, not at 7" in refused.value.body["detail"]
