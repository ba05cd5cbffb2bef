"""Commands, and their completion."""

import pytest

from orion.model.api.watch import Noun
from orion.tui.commands import ALIASES, ELSEWHERE, OWNERS, SCREENS, completions, read_command
from orion.tui.relations import Scope
from orion.tui.views import VIEWS

NAMES = {
    Noun.JOBS: ["web", "db"],
    Noun.NODES: ["node1", "node2"],
    Noun.TASKS: ["web/0", "web/1", "db/0"],
}


def read(text, aliases=None):
    return read_command(text, NAMES, aliases)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("nodes", "nodes"),
        ("no", "nodes"),
        ("po", "tasks"),
        ("ta", "tasks"),
        ("PODS", "tasks"),
        (":dp", "deployments"),
        ("job", "jobs"),
        ("cj", "cron"),
        ("svc", "endpoints"),
        ("pvc", "volumes"),
        ("cm", "configs"),
    ],
)
def test_words_lead_to_views(text, view):
    assert read(text).view == view


@pytest.mark.parametrize(("text", "screen"), [("pu", "pulses"), ("xray", "xray"), ("q", "quit"), ("?", "help")])
def test_words_lead_to_screens(text, screen):
    assert read(text).screen == screen


def test_every_alias_leads_somewhere():
    assert set(ALIASES.values()) <= {*VIEWS, *SCREENS}
    assert not set(ALIASES) & {*VIEWS, *SCREENS}
    assert not set(ELSEWHERE) & {*ALIASES, *VIEWS, *SCREENS}
    assert set(OWNERS) == set(VIEWS)


def test_an_argument_narrows_down_to_what_has_that_name():
    assert read("tasks web").scope == Scope(Noun.JOBS, "web")
    assert read("tasks node2").scope == Scope(Noun.NODES, "node2")
    assert read("al web/1").scope == Scope(Noun.TASKS, "web/1")
    assert read("tasks @node1").scope == Scope(Noun.NODES, "node1")


def test_an_argument_may_be_the_row_itself():
    assert read("no node2").at == "node2"
    assert read("jobs db").at == "db"
    assert read("tasks web/1").at == "web/1"


def test_an_argument_may_be_a_filter():
    assert read("po /fred").filter == "fred"
    assert read("po web /a b").filter == "a b"
    assert read("po web /a").scope == Scope(Noun.JOBS, "web")
    assert read("no disk=ssd zone!=a").filter == "-l disk=ssd,zone!=a"
    assert read("po !web").filter == "!web"


def test_a_screen_takes_a_name():
    assert read("xray web").argument == "web"
    assert "takes one name" in read("xray web db").wrong


def test_events_of_what_is_gone_can_be_asked_for():
    assert read("events nope").argument == "nope"


def test_all_is_no_name():
    assert read("use all") == read("top") == read("use")
    assert read("xray all") == read("xray")


def test_what_is_not_there_is_said():
    assert read("nodez").wrong == "there is no view 'nodez': did you mean :node?"
    assert read("qqqqqq").wrong == "there is no view 'qqqqqq': :help lists them"
    assert "no namespaces" in read("ns kube-system").wrong
    assert "filter with /nope" in read("tasks nope").wrong
    assert read("logs nope").wrong == "there is no job, task or node 'nope'"
    assert read("use nope").wrong == "there is no job, task or node 'nope'; :use alone is of all"


def test_nothing_typed_is_nothing_asked():
    assert read(" : ") == read("")
    assert not any(read(""))


def test_aliases_of_ones_own_may_have_arguments():
    mine = {"pp": "tasks web", "t": "po"}
    assert read("pp", mine).scope == Scope(Noun.JOBS, "web")
    assert read("pp /x", mine).filter == "x"
    assert read("t", mine).view == "tasks"


def test_first_words_are_completed_with_whole_names_first():
    assert completions("ta", NAMES) == ["tasks", "task"]
    assert completions("no", NAMES) == ["nodes", "node"]
    assert completions("", NAMES)[:2] == ["nodes", "jobs"]
    assert "zz" in completions("z", NAMES, {"zz": "tasks"})


def test_arguments_are_completed_with_names_that_there_are():
    assert completions("tasks ", NAMES)[:4] == ["tasks db", "tasks web", "tasks node1", "tasks node2"]
    assert completions("no n", NAMES) == ["no node1", "no node2"]
    assert completions("xray w", NAMES) == ["xray web"]
    assert completions("pulses ", NAMES) == []
    assert completions("nonsense x", NAMES) == []
