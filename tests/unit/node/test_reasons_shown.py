"""What a sentence is made of, as programs read it from the API."""

import asyncio

import msgspec
import pytest
from cluster_kit import run

from orion.model.api.tasks import TaskRequest
from orion.model.job import TaskSpec
from orion.model.placement import PlacementFailure, PortShortage, ResourceShortage
from orion.model.pull import PullProgress
from orion.model.resources import Resources
from orion.node.rpc.reads import Read
from orion.node.views import reasons
from sim.engine import FOREVER

TASK = TaskSpec("web", resources=Resources(1_500, 4_000_000_000, 5_000_000_000))


def shown(view):
    return msgspec.to_builtins(view)


def test_each_filter_that_keeps_nodes_from_a_task_is_counted_by_its_name():
    failure = PlacementFailure(away=1, down=2, draining=3, without_engine=4, without_labels=5)
    assert shown(reasons.placement_failure(failure, TASK)) == {
        "nodes": 15,
        "nodesFiltered": {"away": 1, "down": 2, "draining": 3, "engine": 4, "labels": 5},
        "resourcesShort": {},
        "portsTaken": [],
        "waitsFor": [],
        "volume": None,
    }


def test_what_is_short_is_shown_beside_the_most_that_is_free():
    failure = PlacementFailure(
        cpu=ResourceShortage(1, 250), memory=ResourceShortage(2, 3), disk=ResourceShortage(3, 0)
    )
    assert shown(reasons.placement_failure(failure, TASK)) == {
        "nodes": 6,
        "nodesFiltered": {},
        "resourcesShort": {
            "cpu": {"nodes": 1, "needs": 1.5, "mostFree": 0.25},
            "memory": {"nodes": 2, "needs": 4_000_000_000, "mostFree": 3},
            "disk": {"nodes": 3, "needs": 5_000_000_000, "mostFree": 0},
        },
        "portsTaken": [],
        "waitsFor": [],
        "volume": None,
    }


def test_ports_are_shown_with_who_has_them():
    ports = PortShortage(80, "tcp", 3), PortShortage(53, "udp", 2, own=True), PortShortage(0, "tcp", 1)
    assert shown(reasons.placement_failure(PlacementFailure(ports=ports), TASK))["portsTaken"] == [
        {"hostPort": 80, "protocol": "tcp", "holder": "task", "nodes": 3},
        {"hostPort": 53, "protocol": "udp", "holder": "orion", "nodes": 2},
        {"hostPort": 0, "protocol": "tcp", "holder": "range", "nodes": 1},
    ]


@pytest.mark.parametrize(
    ("pull", "phase"),
    [(PullProgress(), "resolving"), (PullProgress(1, 5), "downloading"), (PullProgress(5, 5), "unpacking")],
)
def test_progress_of_a_pull(pull, phase):
    assert shown(reasons.progress(pull)) == {
        "phase": phase,
        "doneBytes": pull.done_bytes,
        "totalBytes": pull.total_bytes,
    }


def test_a_task_shows_why_no_node_takes_it_and_how_far_its_pull_has_come():
    async def main(nodes):
        async def create(**request):
            asked = TaskRequest(**request)
            await nodes.leader.ask(
                lambda s: s.create_task(asked, idempotency_key="", timeout_s=5, wait_running_s=0)
            )

        async def until(name, condition):
            """Every look at the task, to the first for which it holds."""
            looks = []
            async with asyncio.timeout(60):
                while not looks or not condition(looks[-1]):
                    await asyncio.sleep(0.005)
                    view, _ = await nodes.leader.ask(lambda s: s.task(name, Read()))
                    looks.append(view)
            return looks

        await create(image=FOREVER, name="huge", memory=10**15)
        huge = (await until("huge", lambda task: task.placement_failure))[-1]
        assert huge.state == "pending"
        short = huge.placement_failure.resources_short["memory"]
        assert (short.nodes, short.needs) == (len(nodes.machines), 10**15)
        assert huge.reason.startswith("needs 1 PB of memory; the largest node has ")

        await create(image="web2", name="web")
        *before, runs = await until("web", lambda task: task.state == "running")
        pulls = [task for task in before if task.progress is not None]
        assert (pulls[0].progress.phase, pulls[-1].progress.phase) == ("resolving", "unpacking")
        for task in pulls:
            assert task.state == "pulling"
            assert task.allocations[-1].progress == task.progress
            assert task.allocations[-1].reason == task.reason
            assert task.reason.startswith("pulling web2")
        assert runs.progress is None
        assert runs.allocations[-1].progress is None
        assert runs.reason == ""

    run(main)
