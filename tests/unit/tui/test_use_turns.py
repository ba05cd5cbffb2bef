"""Sentences of what happens: here the end of what was begun from the dashboard."""

import pytest

from orion.model.api.watch import Noun
from orion.tui.turns import Happened, Turns
from unit.tui.rows import deployment
from unit.tui.told import Told


def turns_of(*rows):
    cluster = Told()
    cluster.change(Noun.DEPLOYMENTS, *rows)
    turns = Turns(cluster)
    turns.look()
    return cluster, turns


@pytest.mark.parametrize(
    ("state", "words", "wrong"),
    [
        ("done", "web: update to version 2 is done", False),
        ("rolled-back", "web: update to version 2 was rolled back: web/0 failed", True),
        ("failed", "web: update to version 2 failed: web/0 failed", True),
        ("paused", "web: update to version 2 is paused: web/0 failed", True),
        ("superseded", "web: update to version 2 was overtaken: web/0 failed", True),
    ],
)
def test_the_end_of_what_was_begun_from_here_is_said_once(state, words, wrong):
    cluster, turns = turns_of(deployment(7), deployment(8, job="db"))
    turns.begun(7)
    assert turns.look() == Happened()
    cluster.change(Noun.DEPLOYMENTS, deployment(7, rolling_back=True), deployment(8, job="db", state="failed"))
    assert turns.look() == Happened()
    why = "" if state == "done" else "web/0 failed"
    cluster.change(Noun.DEPLOYMENTS, deployment(7, state=state, reason=why))
    assert turns.look() == Happened(words, wrong)
    assert turns.look() == Happened()


def test_one_that_ended_before_its_first_row_came_is_said():
    cluster, turns = turns_of()
    turns.begun(9)
    assert turns.look() == Happened()
    cluster.change(Noun.DEPLOYMENTS, deployment(9, kind="scale", state="done"))
    assert turns.look() == Happened("web: scaling is done")


def test_one_that_was_paused_and_goes_on_is_not_said_to_be_paused_before_its_row_is_another():
    cluster, turns = turns_of(deployment(7, state="paused"))
    turns.begun(7)
    assert turns.look() == Happened()
    cluster.change(Noun.DEPLOYMENTS, deployment(7))
    assert turns.look() == Happened()
    cluster.change(Noun.DEPLOYMENTS, deployment(7, state="paused", reason="again"))
    assert turns.look() == Happened("web: update to version 2 is paused: again", wrong=True)
