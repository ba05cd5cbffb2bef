"""What tasks use."""

from orion.client import StatsView
from orion.model.api.watch import Noun
from orion.tui.lines import text_of
from orion.tui.screens.use import Use
from orion.tui.texts.use import Use as Readings
from unit.tui.scripted import Bare, Scripted, piloted, task, text_on, until


def reading(task, second, **values):
    fixed = {"allocation": "r1", "node_id": "node1", "cpu": 0.5, "memory": 64_000_000, "memory_limit": 128_000_000}
    counted = {"received": 0, "sent": 0, "read": 0, "written": 0, "pids": 3}
    at = f"2025-01-01T00:00:{second:02}.000Z"
    return StatsView(**{"task": task, "at": at, **fixed, **counted, **values})


def told(readings, order="cpu"):
    return [text_of(line).split() for line in readings.lines(order)][1:]


def test_rates_are_those_between_two_readings_of_one_container():
    readings = Readings()
    readings.take("web/0", reading("web/0", 1, received=1_000))
    assert told(readings) == [["web/0", "█", "0.50", "64", "MB", "50%", "3"]]
    readings.take("web/0", reading("web/0", 3, received=9_000))
    assert told(readings)[0][6:14] == ["4", "kB/s", "0", "B/s", "0", "B/s", "0", "B/s"]
    readings.take("web/0", reading("web/0", 4, allocation="r2"))
    assert told(readings)[0][-2:] == ["50%", "3"]


def test_the_heaviest_comes_first_and_what_ended_says_why():
    readings = Readings()
    readings.take("web/10", reading("web/10", 1, cpu=0.1, memory=2))
    readings.take("web/9", reading("web/9", 1, cpu=0.2, memory=1))
    assert [row[0] for row in told(readings)] == ["web/9", "web/10"]
    assert [row[0] for row in told(readings, "memory")] == ["web/10", "web/9"]
    assert [row[0] for row in told(readings, "name")] == ["web/9", "web/10"]
    readings.ended("web/9", "node1 went away")
    assert told(readings)[-1] == ["web/9:", "node1", "went", "away"]


@piloted
async def test_tasks_that_run_are_read_and_anew_once_they_have_another_run():
    rows = [task("web/0", allocation="r1"), task("web/1", state="pending"), task("db/0")]
    cluster = Scripted(rows, stats=lambda *_, **__: ())
    app = Bare(Use(cluster, Noun.JOBS, "web"))
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: len(cluster.streams) == 1)
        cluster.streams[0].give(reading("web/0", 1, cpu=1.25))
        await until(pilot, lambda: "1.25" in text_on(app))
        cluster.streams[0].end()
        await until(pilot, lambda: "its container has ended" in text_on(app))
        cluster.tell(task("web/0", allocation="r2"), task("web/1", allocation="r3"))
        await until(pilot, lambda: len(cluster.streams) == 3)
        cluster.streams[1].give(reading("web/0", 2, allocation="r2", cpu=0.75))
        await until(pilot, lambda: "0.75" in text_on(app) and "has ended" not in text_on(app))
        await pilot.press("o")
        await until(pilot, lambda: "by memory" in text_on(app))
    assert [arguments for _, arguments, _ in cluster.asked] == [("web/0",), ("web/0",), ("web/1",)]
    assert all(stream.closed for stream in cluster.streams[1:])
