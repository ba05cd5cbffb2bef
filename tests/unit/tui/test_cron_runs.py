"""A cron job runs nothing by itself: what is asked of it is asked of its last run."""

from orion.model.api.watch import Noun
from orion.tui.lines import text_of
from orion.tui.screens.logs import Logs
from orion.tui.screens.use import Use
from orion.tui.texts.asking import runs_of, why
from unit.api.fake_service import task_view
from unit.tui.scripted import Bare, Client, Scripted, job, piloted, press, task, text_on, until
from unit.tui.test_top_logs import asked, line
from unit.tui.told import top

NIGHTLY = job("nightly", kind="cron", schedule="0 3 * * *")


def run(number, **more):
    """A run of the job, and its task."""
    name = f"nightly-{number}"
    began = f"2026-01-{number:02}T03:00:00Z"
    return job(name, kind="batch", run_of="nightly", created_at=began), task(f"{name}/0", **more)


def played(*rows):
    return Scripted([NIGHTLY, *rows], logs=lambda *_, **__: (), stats=lambda *_, **__: ())


def tasks(cluster):
    return [each["task"] for each in asked(cluster)]


def test_the_last_run_is_the_one_that_began_last():
    store = Scripted([NIGHTLY, *run(10), *run(9), job("other-11", kind="batch", run_of="other")]).store
    assert runs_of(store, "nightly") == ["nightly-9", "nightly-10"]


@piloted
async def test_its_output_is_that_of_its_last_run_and_of_each_that_begins_meanwhile():
    cluster = played(*run(2, state="completed"), *run(1, state="completed"))
    app = Bare(Logs(cluster, Noun.JOBS, "nightly"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "the last run, nightly-2" in text_on(app))
        cluster.streams[0].give(line(1, "saved"))
        await until(pilot, lambda: "nightly-2/0@node1 saved" in text_on(app))
        cluster.tell(*run(3))
        await until(pilot, lambda: "the last run, nightly-3" in text_on(app))
        assert "saved" in text_on(app)
    assert tasks(cluster) == ["nightly-2/0", "nightly-3/0"]


@piloted
async def test_the_output_before_is_that_of_the_run_before():
    cluster = played(*run(2, state="completed"), *run(1, state="completed"))
    app = Bare(Logs(cluster, Noun.JOBS, "nightly"))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "p")
        await until(pilot, lambda: "the run before, nightly-1" in text_on(app))
    assert tasks(cluster) == ["nightly-2/0", "nightly-1/0"]
    assert not any(each["previous"] for each in asked(cluster)), "it is a job of its own, and that its newest run"


@piloted
async def test_one_that_has_not_run_says_so():
    app = Bare(Logs(played(), Noun.JOBS, "nightly"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no run of nightly is known" in text_on(app))
        await press(pilot, "p")
        await until(pilot, lambda: "no run of nightly is known before its last one" in text_on(app))


@piloted
async def test_its_use_is_that_of_its_last_run():
    cluster = played(*run(1), *run(2))
    app = Bare(Use(cluster, Noun.JOBS, ["nightly"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: cluster.streams)
    assert tasks(cluster) == ["nightly-2/0"]


def test_why_is_that_of_its_last_run():
    cluster = played(*run(1), *run(2, state="failed", reason="exit code 1"))
    cluster.answers["task"] = lambda key: task_view(key.rpartition("/")[0], reason="exit code 1")
    said = why(cluster.store, Noun.JOBS, "nightly")(Client(cluster))
    assert "exit code 1" in " ".join(map(text_of, said))


@piloted
async def test_how_it_is_run_now_stands_below_the_cron_jobs():
    app = top()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "colon", *"cron", "enter")
        await until(pilot, lambda: "<t> run now" in text_on(app))
        assert "<s> scale" not in text_on(app)
        await press(pilot, "colon", *"jobs", "enter")
        await until(pilot, lambda: "<s> scale" in text_on(app))
        assert "<t> run now" not in text_on(app)
