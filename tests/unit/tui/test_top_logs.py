"""Output of tasks on the screen, over streams that the test speaks for."""

from orion.client import LogLine
from orion.model.api.watch import Noun
from orion.tui.pager import MOST_LINES
from orion.tui.screens.logs import Logs
from unit.tui.scripted import Bare, Scripted, allocation, piloted, task, text_on, until


def line(second, text, *, node="node1", run="r1", stream="stdout"):
    return LogLine(f"2025-01-01T00:00:{second:02}Z", stream, f"{text}\n".encode(), node, run)


def played(*rows):
    return Scripted(rows, logs=lambda *_, **__: ())


def asked(cluster):
    return [keywords | {"task": task} for _, (task,), keywords in cluster.asked]


@piloted
async def test_one_tasks_lines_come_without_its_name_and_times_on_demand():
    cluster = played(task("web/0"), task("db/0"))
    app = Bare(Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(line(1, "GET /"), line(2, "\x1b[31mno\x1b[0m"))
        await until(pilot, lambda: "GET /" in text_on(app) and "no" in text_on(app))
        assert "web/0@" not in text_on(app)
        assert "2025" not in text_on(app)
        await pilot.press("t")
        await until(pilot, lambda: "2025-01-01T00:00:01Z GET /" in text_on(app))
        cluster.streams[0].end("node1 went away")
        await until(pilot, lambda: "node1 went away" in text_on(app))
    assert len(cluster.streams) == 1
    assert asked(cluster)[0]["follow"] is True


@piloted
async def test_all_of_a_job_are_merged_by_time_and_new_tasks_are_read_too():
    cluster = played(task("web/0"), task("web/1", node_id="node2"), task("db/0"))
    app = Bare(Logs(cluster, Noun.JOBS, "web"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(cluster.streams) == 2)
        cluster.streams[0].give(line(2, "second"))
        cluster.streams[1].give(line(1, "first", node="node2"))
        await until(pilot, lambda: "second" in text_on(app))
        shown = text_on(app)
        assert shown.index("web/1@node2 first") < shown.index("web/0@node1 second")
        cluster.tell(task("web/2"))
        await until(pilot, lambda: len(cluster.streams) == 3)
    assert all(stream.closed for stream in cluster.streams)


@piloted
async def test_a_task_that_ended_is_read_on_once_it_runs_again():
    cluster = played(task("web/0", allocation="r1"))
    app = Bare(Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(line(1, "first"))
        cluster.streams[0].end()
        cluster.tell(task("web/0", allocation="r1", state="stopped"))
        cluster.tell(task("web/0", allocation="r2"))
        await until(pilot, lambda: len(cluster.streams) == 2)
        cluster.streams[1].give(line(2, "second"))
        await until(pilot, lambda: "second" in text_on(app))
        assert "first" in text_on(app)
    first, second = asked(cluster)
    assert (first["tail"], second["tail"], first["since"]) == (200, None, "")
    assert second["since"].endswith("+00:00")


@piloted
async def test_other_times_the_run_before_and_one_stream_are_asked_for_anew():
    cluster = played(task("web/0"))
    app = Bare(Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(line(1, "old"))
        await pilot.press("3", "p", "o")
        await until(pilot, lambda: len(cluster.streams) == 4)
        late, now = cluster.streams[0], cluster.streams[-1]
        late.closed = False  # what was on its way when it was closed
        late.give(line(1, "late"))
        now.give(line(2, "new"))
        await until(pilot, lambda: "new" in text_on(app))
        assert "old" not in text_on(app)
        assert "late" not in text_on(app)
        assert "last 5 min, stdout, the run before" in text_on(app)
    first, *_, last = asked(cluster)
    assert (first["since"], first["previous"], first["follow"]) == ("", False, True)
    assert (last["since"], last["tail"], last["previous"], last["follow"]) == ("5m", None, True, False)
    assert last["stream"] == "stdout"


@piloted
async def test_of_a_run_only_its_own_lines_are_shown():
    cluster = played(allocation("r1", "web/0"), task("web/0"))
    app = Bare(Logs(cluster, Noun.ALLOCATIONS, "r1"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(line(1, "other", run="r0"), line(2, "mine"))
        await until(pilot, lambda: "mine" in text_on(app))
        assert "other" not in text_on(app)


@piloted
async def test_old_lines_are_dropped_and_it_says_so_and_whoever_scrolls_up_stays_there():
    cluster = played(task("web/0"))
    screen = Logs(cluster, Noun.TASKS, "web/0")
    app = Bare(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(*(line(1, f"line {n}") for n in range(100)))
        await until(pilot, lambda: "line 99" in text_on(app))
        await pilot.press("pageup")
        await until(pilot, lambda: "does not scroll" in text_on(app))
        assert "line 56" in text_on(app)
        cluster.streams[0].give(line(2, "line 100"))
        await until(pilot, lambda: screen.pager.pages.lines == 101)
        assert "line 56" in text_on(app)
        assert "line 100" not in text_on(app)
        await pilot.press("s")
        await until(pilot, lambda: "line 100" in text_on(app))
        cluster.streams[0].give(*(line(3, f"more {n}") for n in range(MOST_LINES)))
        await until(pilot, lambda: "101 older lines were dropped" in text_on(app))


@piloted
async def test_lines_are_filtered_and_what_is_seen_is_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cluster = played(task("web/0"))
    app = Bare(screen := Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(line(1, "GET /"), line(2, "error: no"), line(3, "GET /a"))
        await until(pilot, lambda: "GET /a" in text_on(app))
        screen.narrow("!get")
        await until(pilot, lambda: "GET" not in text_on(app))
        await pilot.press("c")
        await until(pilot, lambda: "copied 9 characters" in text_on(app))
        assert app.clipboard == "error: no"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1 line in" in text_on(app))
    (file,) = (tmp_path / "orion-top").iterdir()
    assert file.read_text() == "error: no\n"


@piloted
async def test_an_empty_log_says_so_and_so_do_a_wrong_filter_and_one_that_nothing_passes():
    cluster = played(task("web/0"))
    app = Bare(screen := Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "nothing was written so far" in text_on(app))
        await pilot.press("2")
        await until(pilot, lambda: "nothing was written in the last minute" in text_on(app))
        cluster.streams[-1].give(line(1, "GET (all)"))
        await until(pilot, lambda: "GET (all)" in text_on(app))
        screen.narrow("(")
        await until(pilot, lambda: "'(' is no regular expression" in text_on(app))
        screen.narrow("(all")
        screen.narrow("(all|none)")
        await until(pilot, lambda: "is no regular expression" not in text_on(app))
        screen.narrow("nobody")
        await until(pilot, lambda: "no line passes /nobody" in text_on(app))
        await pilot.press("escape")
        await until(pilot, lambda: "GET (all)" in text_on(app))


@piloted
async def test_the_last_line_is_followed_again_by_the_key_that_leads_there():
    cluster = played(task("web/0"))
    app = Bare(Logs(cluster, Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 12)) as pilot:
        await until(pilot, lambda: cluster.streams)
        cluster.streams[0].give(*(line(at, f"line {at}") for at in range(40)))
        await until(pilot, lambda: "line 39" in text_on(app))
        for key in ("G", "end"):
            await pilot.press("g")
            await until(pilot, lambda: "does not scroll" in text_on(app) and "line 39" not in text_on(app))
            await pilot.press(key)
            await until(pilot, lambda: "does not scroll" not in text_on(app) and "line 39" in text_on(app))
        cluster.streams[0].give(line(41, "one more"))
        await until(pilot, lambda: "one more" in text_on(app))


@piloted
async def test_the_heading_says_whether_lines_are_wrapped():
    app = Bare(Logs(played(task("web/0")), Noun.TASKS, "web/0"))
    async with app.run_test(size=(80, 12)) as pilot:
        await until(pilot, lambda: "logs web/0  wrapped" in text_on(app))
        await pilot.press("w")
        await until(pilot, lambda: "logs web/0  not wrapped" in text_on(app))
