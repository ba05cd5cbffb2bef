import pytest
from fake_endpoints import endpoint
from fake_service import running


@pytest.fixture
def api():
    with running() as api:
        yield api


def test_those_that_are_ready_or_all(api):
    got = api.ask("GET", "/jobs/web/endpoints")
    assert (got.status, got.headers["x-orion-index"]) == (200, "7")
    assert got.json == [
        {
            "task": "web/0",
            "nodeId": "node1",
            "address": "172.17.0.2",
            "ports": {"80/tcp": "10.0.0.1:8080"},
            "version": 3,
            "ready": True,
            "readySince": "2025-01-01T00:00:00Z",
            "allocation": "000000a1",
        }
    ]
    got = api.ask("GET", "/jobs/web/endpoints?all=1")
    assert [(each["task"], each["ready"], each["readySince"]) for each in got.json][1] == ("web/1", False, None)


def test_a_poll_waits_for_the_index(api):
    api.ask("GET", "/jobs/web/endpoints?index=6&wait=5")
    assert [(read.after_index, read.wait_s) for read in api.service.reads] == [(6, 5)]


def test_what_is_no_job_is_named(api):
    assert api.ask("GET", "/jobs/none/endpoints").status == 404
    got = api.ask("GET", "/jobs/No_Job/endpoints")
    assert got.status == 400
    assert "name must be a job's name" in got.json["detail"]


def test_as_events_the_list_comes_whole_whenever_it_is_another(api):
    api.service.endpoints.of["web later"] = [[], [endpoint("web/1")]]
    got = api.ask("GET", "/jobs/web/endpoints", headers={"Accept": "text/event-stream"})
    assert got.kind == "text/event-stream"
    events = got.body.decode().split("\n\n")
    assert events[0] == "retry: 1000"
    assert events[1].startswith('data: [{"task":"web/0"')
    assert events[2] == "data: []"
    assert events[3].startswith('data: [{"task":"web/1"')


def test_as_events_what_is_no_job_is_a_problem(api):
    assert api.ask("GET", "/jobs/none/endpoints", headers={"Accept": "text/event-stream"}).status == 404
