"""The present view, and all that narrows it down."""

import pytest

from orion.client.watch import Current, Rows
from orion.model.api.watch import Noun
from orion.tui.desk import Desk
from orion.tui.history import Place
from orion.tui.relations import Jump, Scope
from orion.tui.store import Store
from orion.tui.summary import Asked
from unit.tui.rows import job, run, tables, task

HEARD = Asked("a:1", "node1", "", 0.0, "")
WEB = Scope(Noun.JOBS, "web")


@pytest.fixture
def store():
    made = Store()
    for noun, rows in tables().items():
        made.take(Rows(noun, list(rows.values()), begins=True), 0.0)
    made.take(Current(1, "node1"), 0.0)
    return made


def words(spans):
    return "".join(text for text, _ in spans)


def keys(desk):
    return list(desk.listing.keys())


def test_views_are_found_as_they_were_left(store):
    desk = Desk(store, Place("jobs"))
    desk.leave("web")
    desk.enter(Jump("tasks", WEB))
    desk.narrow("node2")
    assert keys(desk) == ["web/1"]
    assert words(desk.title()) == " tasks of job web [1 of 5]  /node2"
    assert words(desk.crumbs()) == " jobs > tasks of web /node2 "
    desk.go(Place("nodes"))
    assert desk.back()
    assert keys(desk) == ["web/1"]
    assert desk.up()
    assert desk.place == Place("jobs", at="web")
    assert not desk.up()
    assert desk.forward()
    assert desk.swap()
    assert desk.view.name == "jobs"


@pytest.mark.parametrize(
    ("view", "found"),
    [
        ("jobs", ["web"]),
        ("tasks", ["web/0", "web/1", "web/2"]),
        ("allocations", ["0000000a", "0000000b", "0000000d"]),
    ],
)
def test_labels_are_those_of_the_job_too(store, view, found):
    store.take(Rows(Noun.JOBS, [job("web", labels={"tier": "front", "job": "not its name"})]), 0.0)
    store.take(Current(2, "node1"), 0.0)
    desk = Desk(store, Place(view))
    desk.narrow("-l tier=front,job=web")
    assert sorted(keys(desk)) == found
    desk.narrow("-l tier!=front,job=web")
    assert keys(desk) == []


def test_faults_hold_for_all_views_and_an_order_for_its_own(store):
    desk = Desk(store, Place("tasks"))
    desk.toggle_faults()
    desk.sort(desk.view.column("STATE"))
    assert keys(desk) == ["web/2", "db/0"]
    desk.go(Place("jobs"))
    assert keys(desk) == ["web"]
    assert desk.listing.sorted_by.title == "NAME"
    desk.back()
    assert keys(desk) == ["web/2", "db/0"]
    desk.sort(desk.view.column("STATE"))
    assert keys(desk) == ["db/0", "web/2"]
    desk.reverse()
    assert keys(desk) == ["web/2", "db/0"]


def test_the_column_beside_is_one_that_is_shown(store):
    desk = Desk(store, Place("tasks"))
    columns = [desk.view.column(title) for title in ("ID", "NODE", "AGE")]
    desk.sort_beside(1, columns)
    assert desk.listing.sorted_by.title == "NODE"
    desk.sort_beside(-1, columns)
    desk.sort_beside(-1, columns)
    assert desk.listing.sorted_by.title == "AGE"
    desk.sort_beside(1, [])
    assert desk.listing.sorted_by.title == "AGE"


def test_only_news_of_its_noun_are_news(store):
    desk = Desk(store, Place("tasks"))
    store.take(Rows(Noun.TASKS, [task("web/7")]), 0.0)
    store.take(Current(2, "node1"), 0.0)
    assert not desk.take({Noun.JOBS})
    assert desk.take({Noun.JOBS, Noun.TASKS})
    assert "web/7" in keys(desk)


def test_where_there_are_no_rows_it_says_why(store):
    desk = Desk(store, Place("tasks", Scope(Noun.JOBS, "none")))
    assert desk.instead(HEARD) == "there are no tasks of job none"
    desk.narrow("x")
    assert desk.instead(HEARD) == "no tasks of job none pass the filter: Esc clears it"
    desk.narrow("")
    desk.toggle_faults()
    assert desk.instead(HEARD) == "no tasks of job none have a fault: Ctrl-Z shows all"
    assert desk.instead(HEARD._replace(age_s=None)) == "a:1 is asked …"
    assert desk.instead(HEARD._replace(age_s=None, trouble="nobody answers")) == "nobody answers"


def test_what_is_wrong_with_a_filter_is_known(store):
    desk = Desk(store, Place("tasks"))
    desk.narrow("web(")
    assert "no regular expression" in desk.wrong
    desk.narrow("web")
    assert desk.wrong == ""


def test_a_node_without_tasks_says_what_still_ends_on_it(store):
    desk = Desk(store, Place("tasks", Scope(Noun.NODES, "node9")))
    assert desk.instead(HEARD) == "there are no tasks of node node9"
    runs = [run("1a", "web/0", node_id="node9", wanted=False), run("1b", "db/0", node_id="node9", state="failed")]
    store.take(Rows(Noun.ALLOCATIONS, runs), 0.0)
    store.take(Current(2, "node1"), 0.0)
    assert desk.instead(HEARD) == (
        "there are no tasks of node node9; 1 run of before ends there yet: web/0. :allocations node9 shows it"
    )
