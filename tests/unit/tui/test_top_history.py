"""Ways that one has gone, and what belongs to what."""

import pytest

from orion.model.api.watch import Noun
from orion.tui.history import MOST_WAYS, History, Place
from orion.tui.relations import Jump, Scope, belongs, down, job_name, node_of, owner
from unit.tui.rows import config, deployment, job, node, run, task, volume

NODES, JOBS = Place("nodes"), Place("jobs")
TASKS = Place("tasks", Scope(Noun.JOBS, "web"))


def test_what_was_entered_is_left_upwards():
    history = History(JOBS)
    history.enter(TASKS)
    assert history.crumbs == (JOBS, TASKS)
    assert history.up()
    assert history.here == JOBS
    assert not history.up()


def test_brackets_lead_through_what_was_asked_for_and_keep_what_was_entered():
    history = History(JOBS)
    history.enter(TASKS)
    history.go(NODES)
    assert not history.forward()
    assert history.back()
    assert history.crumbs == (JOBS, TASKS)
    assert not history.back()
    assert history.forward()
    assert history.here == NODES


def test_a_view_is_found_as_it_was_left():
    history = History(JOBS)
    history.leave(JOBS._replace(at="web", filter="w"))
    history.go(NODES)
    history.back()
    assert history.here == Place("jobs", None, "w", "web")


def test_a_new_way_forgets_what_was_ahead():
    history = History(JOBS)
    history.go(NODES)
    history.back()
    history.go(Place("tasks"))
    assert not history.forward()
    history.back()
    assert history.here == JOBS


def test_a_dash_leads_to_the_way_before_and_back():
    history = History(JOBS)
    assert not history.swap()
    history.go(NODES)
    history.go(Place("tasks"))
    assert history.swap()
    assert history.here == NODES
    assert history.swap()
    assert history.here.view == "tasks"


def test_not_all_ways_are_kept():
    history = History(JOBS)
    for number in range(MOST_WAYS * 2):
        history.go(Place("jobs", at=str(number)))
    back = sum(1 for _ in iter(history.back, False))
    assert back == MOST_WAYS - 1


def test_crumbs_say_whose_rows_and_which():
    assert TASKS.crumb == "tasks of web"
    assert JOBS._replace(filter="x").crumb == "jobs /x"


@pytest.mark.parametrize(
    ("noun", "row", "jump"),
    [
        (Noun.JOBS, job("web"), Jump("tasks", Scope(Noun.JOBS, "web"))),
        (Noun.JOBS, job("nightly", kind="cron"), Jump("jobs", Scope(Noun.JOBS, "nightly"))),
        (Noun.NODES, node("node2"), Jump("tasks", Scope(Noun.NODES, "node2"))),
        (Noun.TASKS, task("web/1"), Jump("allocations", Scope(Noun.TASKS, "web/1"))),
        (Noun.DEPLOYMENTS, deployment(), Jump("tasks", Scope(Noun.JOBS, "web"))),
        (Noun.VOLUMES, volume(), Jump("jobs", None, "db")),
        (Noun.VOLUMES, volume(used_by=[]), None),
        (Noun.ALLOCATIONS, run(), None),
        (Noun.CONFIGS, config(), None),
    ],
)
def test_enter_leads_to_what_belongs_to_a_row(noun, row, jump):
    assert down(noun, row) == jump


@pytest.mark.parametrize(
    ("noun", "row", "jump"),
    [
        (Noun.TASKS, task("web/1"), Jump("jobs", None, "web")),
        (Noun.ALLOCATIONS, run(task="web/1"), Jump("tasks", None, "web/1")),
        (Noun.DEPLOYMENTS, deployment(), Jump("jobs", None, "web")),
        (Noun.JOBS, job(run_of="nightly"), Jump("cron", None, "nightly")),
        (Noun.JOBS, job(), None),
        (Noun.VOLUMES, volume(), Jump("jobs", None, "db")),
        (Noun.NODES, node(), None),
    ],
)
def test_every_row_leads_to_its_owner(noun, row, jump):
    assert owner(noun, row) == jump


def test_rows_lead_to_their_node():
    assert node_of(Noun.TASKS, task(node_id="node2")) == Jump("nodes", None, "node2")
    assert node_of(Noun.TASKS, task(node_id="")) is None
    assert node_of(Noun.VOLUMES, volume(node_id=None)) is None
    assert node_of(Noun.JOBS, job()) is None


def test_what_belongs_to_what():
    assert belongs(Noun.TASKS, Scope(Noun.JOBS, "web"))(task("web/1"))
    assert not belongs(Noun.TASKS, Scope(Noun.JOBS, "we"))(task("web/1"))
    assert belongs(Noun.ALLOCATIONS, Scope(Noun.JOBS, "web"))(run(task="web/1"))
    assert belongs(Noun.JOBS, Scope(Noun.JOBS, "nightly"))(job("nightly-1", run_of="nightly"))
    assert belongs(Noun.CONFIGS, Scope(Noun.JOBS, "web")) is None


def test_jobs_of_rows():
    assert job_name(Noun.ALLOCATIONS, run(task="web/1")) == "web"
    assert job_name(Noun.JOBS, job("db")) == "db"
    assert job_name(Noun.NODES, node()) == ""
