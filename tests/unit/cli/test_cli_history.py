"""`orion history` against a real API."""

import json

import pytest

from orion.state.tables.history import ChangeKind, History, JobChange


@pytest.fixture(autouse=True)
def changes(api):
    history = api.service.configs.state.of(History)
    history.add("web", JobChange(5, 1_700_000_000_000, ChangeKind.CREATED, 5, 0, 3, "nginx:1"))
    history.add("web", JobChange(9, 1_700_000_001_000, ChangeKind.STOPPED, 5, 0, 3, "nginx:1"))


def test_it_is_a_table_for_people_and_json_for_programs(orion):
    code, out, err = orion("history", "web")
    assert (code, err) == (0, "")
    heading, *rows = out.splitlines()
    assert heading.split() == ["CHANGED", "WHAT", "TASKS", "IMAGE", "INDEX"]
    assert [row.split()[1:] for row in rows] == [["created", "3", "nginx:1", "5"], ["stopped", "3", "nginx:1", "9"]]
    code, out, _ = orion("history", "web/0", "-o", "json")
    assert [change["change"] for change in json.loads(out)] == ["created", "stopped"]


def test_a_job_that_nobody_knows_is_said(orion):
    code, out, err = orion("history", "none")
    assert (code, out) == (1, "")
    assert err.startswith("orion: nothing is known of a job none")
