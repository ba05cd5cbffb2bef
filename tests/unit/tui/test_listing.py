"""The rows of a view as they are shown."""

import random

import pytest

from orion.model.api.watch import Noun
from orion.tui.filters import NONE, read_filter
from orion.tui.listing import Listing
from orion.tui.relations import Scope
from orion.tui.views import VIEWS
from orion.tui.views.jobs import status
from unit.tui.rows import BORN_S, job, node, table, tables, task


def listing(name="tasks", rows=None):
    made = Listing(VIEWS[name])
    made.take(tables()[VIEWS[name].noun] if rows is None else rows)
    return made


def test_names_are_sorted_as_people_count():
    made = listing(rows=table(Noun.TASKS, task("web/10"), task("web/9"), task("a1/0"), task("web/0")))
    assert list(made.keys()) == ["a1/0", "web/0", "web/9", "web/10"]


def test_a_row_that_changes_finds_its_new_place():
    rows = table(Noun.TASKS, *(task(f"web/{i}") for i in range(5)))
    made = listing(rows=rows)
    made.sort(VIEWS["tasks"].column("STATE"), reverse=False)
    rows["web/3"] = task("web/3", state="pending")
    assert made.take(rows)
    assert next(iter(made.keys())) == "web/3"
    assert made.index_of("web/3") == 0
    assert made.row("web/3").state == "pending"


def test_nothing_new_is_no_change():
    rows = tables()[Noun.TASKS]
    made = listing(rows=rows)
    version = made.version
    assert not made.take(rows)
    assert made.version == version


def test_a_change_of_what_is_not_shown_is_none():
    rows = tables()[Noun.TASKS]
    made = listing(rows=rows)
    made.show(filter=read_filter("db"), scope=None, faults=False)
    rows["web/0"] = task("web/0", state="starting")
    assert not made.take(rows)
    assert made.total == 5


def test_filter_scope_and_faults_narrow_down_together():
    made = listing()
    made.show(filter=NONE, scope=Scope(Noun.JOBS, "web"), faults=False)
    assert list(made.keys()) == ["web/0", "web/1", "web/2"]
    made.show(filter=NONE, scope=Scope(Noun.JOBS, "web"), faults=True)
    assert list(made.keys()) == ["web/2"]
    made.show(filter=read_filter("node2"), scope=Scope(Noun.JOBS, "web"), faults=False)
    assert list(made.keys()) == ["web/1"]
    made.show(filter=read_filter("-l job=db"), scope=None, faults=False)
    assert list(made.keys()) == ["db/0"]


def test_a_row_comes_and_goes_with_what_it_is():
    rows = tables()[Noun.TASKS]
    made = listing(rows=rows)
    made.show(filter=NONE, scope=None, faults=True)
    assert list(made.keys()) == ["db/0", "web/2"]
    rows["web/2"], rows["web/0"] = task("web/2"), task("web/0", state="lost")
    made.take(rows)
    assert list(made.keys()) == ["db/0", "web/0"]


def test_the_other_way_round_is_the_same_the_other_way_round():
    made = listing()
    ascending = list(made.keys())
    made.sort(made.sorted_by, reverse=True)
    assert list(made.keys()) == ascending[::-1]
    assert [made.key_at(at) for at in range(len(made))] == ascending[::-1]
    assert [made.index_of(key) for key in made.keys()] == list(range(len(made)))  # noqa: SIM118 -- not a dict


def test_no_row_is_outside():
    made = listing()
    assert made.key_at(-1) == ""
    assert made.key_at(len(made)) == ""
    assert made.index_of("none/0") == -1
    assert made.row("none/0") is None


def test_marks_are_of_rows_and_go_with_them():
    rows = tables()[Noun.TASKS]
    made = listing(rows=rows)
    assert made.chosen("db/0") == ["db/0"]
    made.mark("web/0")
    made.mark("web/1")
    assert made.chosen("db/0") == ["web/0", "web/1"]
    made.mark("web/0")
    assert made.chosen("db/0") == ["web/1"]
    del rows["web/1"]
    made.take(rows)
    assert made.marks == set()
    assert made.chosen("gone/0") == []


def test_marked_rows_that_a_filter_hides_are_not_chosen():
    made = listing()
    made.mark("web/0")
    made.mark("db/0")
    made.show(filter=read_filter("db"), scope=None, faults=False)
    assert made.chosen("db/0") == ["db/0"]


def test_a_range_is_marked_from_the_nearest_mark():
    made = listing()
    made.mark("db/0")
    made.mark_range("web/1")
    assert made.marks == {"db/0", "nightly-1/0", "web/0", "web/1"}
    made.clear_marks()
    assert made.marks == set()


@pytest.mark.parametrize("name", VIEWS)
def test_every_column_sorts_and_shows_every_row(name):
    view = VIEWS[name]
    made = listing(name)
    assert len(made)
    for column in view.columns:
        made.sort(column, reverse=column.down)
        assert len(list(made.keys())) == len(made)
        assert all(isinstance(column.text(made.row(key), 1e9), str) for key in list(made.keys()))


@pytest.mark.parametrize("name", VIEWS)
def test_letters_of_a_view_are_its_own(name):
    letters = [column.letter for column in VIEWS[name].columns if column.letter]
    assert len(set(letters)) == len(letters)
    assert all(letter.isupper() and len(letter) == 1 for letter in letters)


@pytest.mark.parametrize("seed", range(20))
def test_change_after_change_it_is_as_if_made_at_once(seed):
    """Few changes are put in their place, many sorted at once: both come to the same."""
    draw = random.Random(seed)
    states = ("running", "pending", "failed", "completed")
    rows = {}
    made = Listing(VIEWS["tasks"])
    made.show(filter=read_filter("!completed"), scope=None, faults=False)
    made.sort(VIEWS["tasks"].column("STATE"), reverse=draw.random() < 0.5)
    for _ in range(15):
        for _ in range(draw.choice((1, 5, 200))):
            key = f"web/{draw.randrange(300)}"
            if draw.random() < 0.3:
                rows.pop(key, None)
            else:
                rows[key] = task(key, state=draw.choice(states))
        made.take(rows)
        anew = Listing(VIEWS["tasks"])
        anew.show(filter=made.filter, scope=None, faults=False)
        anew.sort(made.sorted_by, reverse=made.reverse)
        anew.take(dict(rows))
        assert list(made.keys()) == list(anew.keys())
        assert made.total == len(rows)


def test_faults_of_nodes():
    rows = table(
        Noun.NODES,
        node("a"),
        node("b", status="dead"),
        node("c", reason="its engine does not answer"),
        node("d", status="draining", reason="gets no work until 'orion ready d'"),
    )
    made = listing("nodes", rows)
    made.show(filter=NONE, scope=None, faults=True)
    assert list(made.keys()) == ["b", "c"]


@pytest.mark.parametrize(
    ("fields", "word", "faulty"),
    [
        ({}, "running", False),
        ({"ready": 0, "running": 0}, "starting", False),
        ({"ready": 0, "running": 0, "active": 0}, "down", True),
        ({"waiting": 1, "reason": "1 of 3 tasks waits"}, "waiting", True),
        ({"count": 3, "ready": 2, "deployment": "running"}, "deploying", False),
        ({"deployment": "paused"}, "paused", True),
        ({"deployment": "rolled-back"}, "running", True),
        ({"stopped": True, "active": 0, "deployment": "failed"}, "stopped", False),
        ({"removing": True}, "removing", False),
        ({"kind": "cron", "ready": 0, "active": 0}, "scheduled", False),
        ({"kind": "batch", "count": 5}, "running", False),
        ({"kind": "batch", "count": 5, "ready": 0, "running": 0, "active": 0}, "ended", False),
    ],
)
def test_a_word_for_how_a_job_stands(fields, word, faulty):

    view, row = VIEWS["jobs"], job(**fields)
    assert view.column("STATUS").text(row, 0) == word
    assert view.fault(row) is faulty


def test_a_run_of_a_cron_job_that_has_ended_is_done_or_failed():
    over = {"kind": "batch", "active": 0, "running": 0, "ready": 0}
    done, failed = job("a", **over, outcome="completed"), job("b", **over, outcome="failed")
    assert [status(row) for row in (done, failed, job("c", **over))] == ["done", "failed", "ended"]
    ready = VIEWS["jobs"].column("READY")
    assert [ready.text(row, 0) for row in (done, failed)] == ["", ""]
    made = listing("jobs", table(Noun.JOBS, done, failed))
    made.show(filter=NONE, scope=None, faults=True)
    assert list(made.keys()) == ["b"]


def test_a_task_that_has_moved_is_as_young_as_its_run():
    age = VIEWS["tasks"].column("AGE")
    rows = task("web/0"), task("web/1", placed_at="2026-01-01T00:04:30Z")
    assert [age.text(row, BORN_S + 300) for row in rows] == ["5m", "30s"]
