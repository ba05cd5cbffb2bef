"""Every screen in a small and in a large terminal, while rows change and the window does."""

import pytest

from orion.client import CheckView, EventView, LogLine, RunChecksView, StatsView
from orion.model.api.watch import Noun
from orion.tui.opening import SCREENS
from unit.api.fake_service import node_view, task_view
from unit.tui.scripted import (
    Bare,
    Scripted,
    allocation,
    deployment,
    job,
    job_view,
    node,
    piloted,
    task,
    text_on,
    until,
    volume,
)
from unit.tui.test_pulses import metrics, raft

SIZES = [(80, 24), (200, 50), (40, 10)]
STATS = StatsView("web/0", "r1", "node1", "2025-01-01T00:00:01.000Z", 0.5, 1, 2, 0, 0, 0, 0, 1)
ITEMS = {  # of each screen that follows a stream
    "logs": LogLine("2025-01-01T00:00:01Z", "stdout", "größer 漢字 ".encode() * 30 + b"\n", "node1", "r1"),
    "events": EventView("1.0", "2025-01-01T00:00:01.000Z", "TaskFailed", "web/0", "web/0 failed " * 20),
    "use": STATS,
}
HEADINGS = {"use": "use web/0", "why": "why task web/0", "raft": "raft", "packing": "packing", "pulses": "pulses"}


def cluster():
    rows = [node("node1"), node("node2", status="dead"), job("web", count=2), deployment(7, "web"), volume("data")]
    rows += [task("web/0", memory=10**9), task("web/1", state="pending", node_id="", reason="no room " * 30)]
    rows += [allocation("r1", "web/0")]
    checks = [RunChecksView("r1", "node1", None, [CheckView("2025-01-01T00:00:01Z", False, 0.1, "no " * 50)])]
    return Scripted(
        rows,
        raft=raft(),
        metrics=metrics(4, 1.0),
        node=node_view("node1"),
        job=job_view("web", reason="1 waits " * 20),
        job_versions=[],
        history=[],
        checks=checks,
        task=task_view("web", state="pending", reason="no room " * 30),
        logs=lambda *_, **__: (),
        stats=lambda *_, **__: (),
        events=lambda *_, follow=False, **__: () if follow else [ITEMS["events"]],
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
@piloted
async def test_a_screen_fits_any_terminal_and_goes_on_as_things_change(name, size):
    played = cluster()
    key = "" if name in ("xray", "packing", "pulses", "raft") else "web/0"
    app = Bare(SCREENS[name](played, Noun.TASKS, key))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: HEADINGS.get(name, name) in text_on(app).splitlines()[0])
        for stream in played.streams:
            stream.give(ITEMS[name])
        played.tell(task("web/1", reason="漢字 " * 40), node("node3" * 9), gone=[(Noun.NODES, "node2")])
        await until(pilot, lambda: len(text_on(app).split()) > 12)
        await pilot.press("right" if name == "xray" else "w", "G", "g", "down")
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: len(text_on(app).splitlines()) == 20)
        assert app.is_running
    assert all(stream.closed for stream in played.streams)
