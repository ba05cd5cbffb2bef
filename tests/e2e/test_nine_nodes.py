"""Five voters, two standbys, two workers: a worker and a voter die."""

import pytest

from support.nodes import Cluster

pytestmark = pytest.mark.engine

LONG_S = 120  # for a start on a busy machine


def roles(cluster: Cluster) -> dict[str, str]:
    return {n["name"]: n["role"] for n in cluster.any().ask("GET", "/nodes")}


def test_after_a_worker_and_a_voter_die_work_goes_on_and_a_standby_votes(shared: Cluster, web_image: str) -> None:
    shared.grow_to(9)
    found = roles(shared)
    assert sorted(found.values()) == ["leader", "learner", "learner", *["voter"] * 4, "worker", "worker"]
    workers = [name for name, role in found.items() if role == "worker"]
    for index, worker in enumerate(workers):
        # Asked of a worker, for a worker: neither holds the log.
        other = shared.node(workers[1 - index])
        created = other.ask(
            "POST",
            "/tasks?wait=running",
            {"name": f"on-{worker}", "image": web_image, "nodeSelectors": {"id": worker}},
            timeout_s=LONG_S,
        )
        assert created["state"] == "running"
    free = shared.node(workers[0]).ask(
        "POST",
        "/tasks?wait=running",
        {"name": "free", "image": web_image, "restartPolicy": "always"},
        timeout_s=LONG_S,
    )
    assert free["state"] == "running"

    shared.node(workers[0]).kill()
    lost = shared.wait_task(f"on-{workers[0]}/0", "pending")
    assert workers[0] in lost["reason"]
    voter = next(name for name, role in found.items() if role == "voter")
    survivor = shared.node(workers[1])
    shared.node(voter).kill()
    shared.wait(lambda: survivor.ask("GET", f"/nodes/{voter}")["status"] == "dead", f"{voter} to be called dead")
    created = survivor.ask("POST", "/tasks?wait=running", {"name": "after", "image": web_image}, timeout_s=LONG_S)
    assert created["state"] == "running", "a worker still gets work and answers"
    shared.wait_task("free", "running")

    def replaced() -> bool:
        now = roles(shared)
        return now[voter] not in ("voter", "leader") and sorted(now.values()).count("voter") == 4

    shared.wait(replaced, "a standby to take the dead voter's place", LONG_S)
