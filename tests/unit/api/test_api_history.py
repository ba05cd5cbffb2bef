import pytest
from fake_service import running

from orion.state.tables.history import ChangeKind, History, JobChange


@pytest.fixture
def api():
    with running() as api:
        history = api.service.configs.state.of(History)
        history.add("web", JobChange(5, 1_700_000_000_000, ChangeKind.CREATED, 5, 0, 3, "nginx:1"))
        history.add("web", JobChange(9, 1_700_000_001_000, ChangeKind.REMOVED, 5, 0, 3, "nginx:1"))
        yield api


@pytest.mark.parametrize("task", ["web", "web/0", "web/7"])
def test_what_was_done_to_a_job_oldest_first(api, task):
    got = api.ask("GET", f"/tasks/{task}/history")
    assert got.status == 200
    assert got.headers["x-orion-index"] == "7"
    assert [change["change"] for change in got.json] == ["created", "removed"]
    assert got.json[0] == {
        "index": 5,
        "at": "2023-11-14T22:13:20.000Z",
        "change": "created",
        "createdIndex": 5,
        "version": 0,
        "count": 3,
        "image": "nginx:1",
    }


def test_of_a_job_that_nobody_knows(api):
    got = api.ask("GET", "/tasks/none/history")
    assert got.status == 404
    assert got.json["detail"] == "nothing is known of a job none: there was none, or it was removed long ago"


def test_what_is_no_task_is_named(api):
    assert api.ask("GET", "/tasks/a%20b/history").status == 400
