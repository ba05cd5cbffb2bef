"""What is known of a row on the screen, why something waits, and jobs as YAML."""

import re

import msgspec
import pytest

from orion.client import EventView
from orion.jobfile.load import Source, load
from orion.model.api.health_fields import HealthCheckRequest, TcpCheckRequest
from orion.model.api.jobs import JobRequest
from orion.model.api.nodes import Amounts
from orion.model.api.reasons import (
    JobWaitView,
    PlacementFailureView,
    PortShortageView,
    ShortageView,
    VolumeWaitView,
)
from orion.model.api.update_fields import UpdateRequest
from orion.model.api.watch import Noun
from orion.model.errors import NotFound, Unavailable
from orion.tui.lines import text_of
from orion.tui.screens.describe import Describe, Why, Yaml
from orion.tui.screens.logs import Logs
from orion.tui.texts.describe import node_lines
from orion.tui.texts.why import why_lines
from orion.tui.texts.yaml_text import job_yaml
from unit.api.fake_service import task_view
from unit.tui.scripted import Bare, Scripted, job, node, piloted, task, text_on, until


def text(lines):
    return "\n".join(map(text_of, lines))


def failure(**values):
    empty = {"nodes": 5, "nodes_filtered": {}, "resources_short": {}, "ports_taken": []}
    return PlacementFailureView(**{**empty, **values})


def test_why_a_task_waits_is_told_node_by_node():
    told = text(
        why_lines(
            "no node fits",
            failure(
                nodes_filtered={"down": 1, "labels": 2},
                resources_short={"memory": ShortageView(1, 8e9, 2e9), "cpu": ShortageView(3, 4, 0.5)},
                ports_taken=[PortShortageView(8080, "tcp", "task", 1), PortShortageView(0, "tcp", "range", 1)],
            ),
        )
    )
    assert "no node fits" in told
    assert "1  is down" in told
    assert "2  lack a label that it asks for" in told
    assert "1  has too little memory: it needs 8 GB, 2 GB is free" in told
    assert "3  have too little cpu: it needs 4 cores, 0.5 cores at most are free" in told
    assert "host port 8080/tcp is taken by a task" in told


def test_what_a_task_waits_for_is_told_before_the_nodes():
    waits = failure(
        waits_for=[JobWaitView("db", "healthy", "absent", None)],
        volume=VolumeWaitView("data", "node2", "down", None),
    )
    told = text(why_lines("", waits))
    assert "waits for db to be healthy: there is no such job" in told
    assert "volume data is on node2, which is down" in told
    assert "Of 5 nodes" not in told


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"env": {"A": "no", "B": "1e5", "C": "a\nb\n  c", "D": "x: y # z", "E": "end \n", "F": ""}},
        {"command": ["sh", "-c", "echo 'a'; # b"], "port_bindings": {"80/tcp": "", "443/tcp": "127.0.0.1:8443"}},
        {"update": UpdateRequest(parallelism=2), "health_check": HealthCheckRequest(tcp=TcpCheckRequest(port=80))},
        {"kind": "batch", "count": 7, "memory": 64_000_000, "cpu": 0.25, "restart_policy": "no"},
    ],
)
def test_a_job_as_yaml_is_a_job_file_of_the_same(fields):
    request = JobRequest(image="nginx:1.27", name="web", **fields)
    (read,) = load([Source("web.yaml", job_yaml(request).encode())])
    assert msgspec.convert(read.request, JobRequest) == request


@piloted
async def test_a_task_is_described_and_again_once_it_has_changed():
    states = iter(("pending", "running"))
    told = [EventView("1.0", "2025-01-01T00:00:00.000Z", "TaskPlaced", "web/0", "web/0 placed on node1")]
    cluster = Scripted(
        [task("web/0", state="pending")], task=lambda key: task_view("web", state=next(states)), events=told
    )
    app = Bare(screen := Describe(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "pending" in text_on(app))
        assert "describe task web/0" in text_on(app)
        cluster.tell(task("db/0"))  # another one is nothing to it
        cluster.tell(task("web/0"))
        await until(pilot, lambda: "running" in text_on(app))
        assert "web/0 placed on node1" in text_on(app)
        screen.narrow("image")
        await until(pilot, lambda: "state" not in text_on(app) and "nginx" in text_on(app))
    assert [name for name, _, _ in cluster.asked] == ["task", "events", "task", "events"]


@piloted
async def test_what_can_not_be_asked_is_said_and_what_was_known_stays():
    answers = iter((node("node1", reason="works"), Unavailable("nobody leads")))

    def asked(key):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cluster = Scripted([node("node1")], node=asked, events=Unavailable("nobody leads"))
    app = Bare(Describe(cluster, Noun.NODES, "node1"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "works" in text_on(app))
        cluster.tell(node("node1", tasks=1))
        await until(pilot, lambda: "nobody leads; this is how it was last" in text_on(app))
        assert "works" in text_on(app)


@piloted
async def test_why_asks_for_one_task_of_each_reason():
    rows = [task(f"web/{n}", state="pending", reason="no room") for n in range(3)]
    rows += [task("web/3"), task("db/0", state="pending", reason="no room")]
    cluster = Scripted([job("web"), *rows], task=lambda key: task_view("web", reason="no room at all"))
    app = Bare(Why(cluster, Noun.JOBS, "web"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no room at all" in text_on(app))
        assert "and 2 tasks more for the same reason" in text_on(app)
    assert [arguments for _, arguments, _ in cluster.asked] == [("web/0",)]


@piloted
async def test_a_row_that_is_gone_is_said():
    cluster = Scripted(job=NotFound("there is no job web"))
    app = Bare(Yaml(cluster, Noun.JOBS, "web"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "there is no job web" in text_on(app))


@piloted
async def test_all_keys_of_a_screen_are_told():
    cluster = Scripted([task("web/0")], logs=lambda *_, **__: ())
    app = Bare(Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: "keys of logs web/0" in text_on(app))
        shown = [line.strip("│ ").split(maxsplit=1) for line in text_on(app).splitlines()]
        known = [["p", "previous"], ["3", "last 5 min"], ["Ctrl-L", "clear"], ["/", "filter"], ["Esc", "back"]]
        assert all(each in shown for each in known)
        await pilot.press("question_mark")
        await until(pilot, lambda: "keys of" not in text_on(app))


def test_amounts_of_a_node_are_in_one_kind_of_units():
    gib = 1 << 30
    told = text(node_lines(node("node1", memory=Amounts(8 * gib, 2 * gib, 1e9)), []))
    assert re.search(r"memory +2 GiB +8 GiB +953.7 MiB", told), told
