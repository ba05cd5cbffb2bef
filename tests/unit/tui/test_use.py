"""What tasks use."""

import pytest

from orion.client import StatsView
from orion.model.api.watch import Noun
from orion.tui.lines import text_of
from orion.tui.screens.use import Use
from orion.tui.texts.use import Use as Readings
from unit.tui.scripted import Bare, Scripted, piloted, press, task, text_on, until
from unit.tui.told import Told, top


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
    app = Bare(Use(cluster, Noun.JOBS, ["web"]))
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


@piloted
async def test_more_tasks_than_are_read_at_a_time_take_turns(monkeypatch):
    monkeypatch.setattr("orion.tui.screens.use.MOST_TASKS", 2)
    cluster = Scripted([task(f"web/{n}", allocation=f"r{n}") for n in range(5)], stats=lambda *_, **__: ())
    app = Bare(Use(cluster, Noun.TASKS, []))
    async with app.run_test(size=(100, 24)) as pilot:
        seen = 0
        while len({arguments for _, arguments, _ in cluster.asked}) < 5 or seen < 8:
            await until(pilot, lambda: len(cluster.streams) > seen)  # noqa: B023 -- it is called here
            assert sum(not stream.closed for stream in cluster.streams) <= 2
            at, seen = seen, seen + 1
            (name,) = cluster.asked[at][1]
            for second in range(2):
                cluster.streams[at].give(reading(name, second, memory=int(name[-1]) * 1_000_000))
        await press(pilot, "M")
        await until(pilot, lambda: "5 tasks, 2 at a time, by memory" in text_on(app))
        assert [line.split()[0] for line in text_on(app).splitlines()[2:4]] == ["web/4", "web/3"]
        cluster.tell(gone=[(Noun.TASKS, f"web/{n}") for n in range(1, 5)])
        await until(pilot, lambda: "1 task, by memory" in text_on(app))
        for stream in cluster.streams:
            stream.end()
        await until(pilot, lambda: "web/4" not in text_on(app))


@piloted
async def test_an_end_is_shown_while_the_task_has_no_other_run():
    cluster = Scripted([task("web/0", allocation="r1")], stats=lambda *_, **__: ())
    app = Bare(Use(cluster, Noun.TASKS, ["web/0"]))
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: len(cluster.streams) == 1)
        cluster.streams[0].give(reading("web/0", 1, cpu=1.25))
        cluster.streams[0].end()
        cluster.tell(task("web/0", state="failed", allocation="r1"))
        await until(pilot, lambda: "0 tasks" in text_on(app))
        assert "its container has ended" in text_on(app)
        assert "1.25" in text_on(app)


@pytest.mark.parametrize("typed", ["use", "top", "use all"])
@piloted
async def test_without_a_name_it_is_of_all_tasks(typed):
    app = top(Told(stats=lambda *_, **__: ()))
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        app.run_command(typed)
        await until(pilot, lambda: "use of all tasks  3 tasks, by cpu" in text_on(app))


@piloted
async def test_it_is_of_the_rows_that_are_marked():
    cluster = Told(stats=lambda *_, **__: ())
    app = top(cluster)
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "jobs [4]" in text_on(app))
        app.run_command("tasks")
        for key in ("web/0", "web/1"):
            app.browser.desk.listing.mark(key)
        for way in ("i", ":use"):
            cluster.asked.clear()
            if way == "i":
                await press(pilot, "i")
            else:
                app.run_command("use")
            await until(pilot, lambda: "use 2 tasks" in text_on(app))
            await until(pilot, lambda: len(cluster.asked) == 2)
            assert [arguments for _, arguments, _ in cluster.asked] == [("web/0",), ("web/1",)]
            await press(pilot, "escape")


@piloted
async def test_where_nothing_runs_it_says_so():
    app = Bare(Use(Scripted([task("web/0", state="pending")]), Noun.JOBS, ["web"]))
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "no task of web runs" in text_on(app))
