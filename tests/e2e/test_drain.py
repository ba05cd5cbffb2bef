"""A node that runs twenty tasks of six jobs is drained: real processes, a real engine."""

import pytest

from support import images
from support.nodes import Cluster

pytestmark = pytest.mark.engine

SERVES = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]
# Of each job: how many tasks it has, how many of them must be ready at any moment, and how it may be changed.
JOBS = {
    "api": (4, 4, {}),
    "db": (2, 1, {"order": "stop-first"}),
    "front": (4, 4, {"order": "start-first", "parallelism": 2}),
    "mail": (3, 2, {"order": "stop-first", "minAvailable": 2}),
    "search": (4, 2, {"order": "stop-first", "parallelism": 2}),
    "worker": (3, 3, {"parallelism": 0}),
}


def test_no_job_is_below_its_floor_at_any_moment(shared: Cluster, busybox_image: str) -> None:
    shared.grow_to(3)
    leaves = shared.nodes[1].name
    for name, (count, _, update) in JOBS.items():
        body = {
            "image": images.BUSYBOX,
            "command": SERVES,
            "count": count,
            "stopGraceSeconds": 2,
            "update": {"monitorSeconds": 1, **update},
            "placement": {"affinities": [{"constraint": f"id={leaves}", "weight": 100}]},
        }
        shared.any().ask("PUT", f"/jobs/{name}", body)
    shared.wait(
        lambda: all(ready(shared)[name] == count for name, (count, _, _) in JOBS.items()), "all to be ready"
    )
    assert where(shared) == {leaves: 20}
    samples = 0

    def has_left() -> bool:
        nonlocal samples
        samples += 1
        found = ready(shared)
        assert not [f"{name}: {found[name]}" for name, (_, floor, _) in JOBS.items() if found[name] < floor]
        return leaves not in where(shared)

    shared.any().ask("POST", f"/nodes/{leaves}/drain")
    shared.wait(has_left, f"all tasks to leave {leaves}", deadline_s=300)
    assert samples > 20
    shared.wait(
        lambda: all(ready(shared)[name] == count for name, (count, _, _) in JOBS.items()), "all to be ready"
    )
    assert sum(where(shared).values()) == 20


def ready(cluster: Cluster) -> dict[str, int]:
    """Of all jobs, at one index of the log."""
    return {job["name"]: job["ready"] for job in cluster.any().ask("GET", "/jobs")}


def where(cluster: Cluster) -> dict[str, int]:
    """How many tasks have something that has not ended on which node."""
    nodes = [
        {
            run["nodeId"]
            for run in task["allocations"]
            if run["state"] not in ("stopped", "failed", "completed", "lost")
        }
        for task in cluster.any().ask("GET", "/tasks")
    ]
    return {name: sum(name in each for each in nodes) for name in set().union(*nodes)}
