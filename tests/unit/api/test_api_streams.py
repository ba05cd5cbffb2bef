"""Logs and events: how they begin, go on, break off and end."""

import contextlib
import http.client
import json
import threading

import pytest

from orion.model.errors import EngineDown, NotFound, Unavailable
from orion.model.events import Event, EventChoice
from orion.model.logs import LogEnd, LogNotice
from unit.api.fake_service import log_piece, task_view

FIRST = Event(1, 0, 1_700_000_000_000, "NodeJoined", "node1", "node1 joined")
SECOND = Event(1, 1, 1_700_000_000_005, "TaskStarted", "web/0", "web/0 runs\non node1")


@pytest.fixture
def web(api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    return api


@contextlib.contextmanager
def opened(api, path, headers=None):
    """The response, while it goes on."""
    with contextlib.closing(api.connect()) as connection:
        connection.request("GET", path, headers=headers or {})
        yield connection.getresponse()


def test_logs(web):
    answer = web.ask("GET", "/tasks/web/0/logs")
    assert (answer.status, answer.kind, answer.body) == (200, "text/plain", b"one\ntwo\n")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    query = web.service.log_queries[0]
    assert (query.follow, query.tail, query.since_ns, query.stdout, query.stderr) == (False, None, 0, True, True)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("follow&tail=5&stream=stdout", {"follow": True, "tail": 5, "stdout": True, "stderr": False}),
        ("follow=0&tail=all&stream=stderr", {"follow": False, "tail": None, "stdout": False, "stderr": True}),
        ("since=2025-01-01T00:00:00Z", {"since_ns": 1_735_689_600_000_000_000}),
        ("since=2025-01-01T01:00:00%2B01:00", {"since_ns": 1_735_689_600_000_000_000}),
        ("since=1735689600.5", {"since_ns": 1_735_689_600_500_000_000}),
        ("tail=0", {"tail": 0}),
    ],
)
def test_which_logs(web, parameters, expected):
    assert web.ask("GET", f"/tasks/web/logs?{parameters}").status == 200
    query = web.service.log_queries[0]
    assert {name: getattr(query, name) for name in expected} == expected


def test_since_how_long_ago(web, monkeypatch):
    monkeypatch.setattr("orion.api.params.time.time", lambda: 1000.0)
    web.ask("GET", "/tasks/web/logs?since=10m")
    web.ask("GET", "/tasks/web/logs?since=1.5s")
    web.ask("GET", "/tasks/web/logs?since=9d")
    web.ask("GET", "/tasks/web/logs?since=5m1.5s")
    since_ms = [query.since_ns // 1_000_000 for query in web.service.log_queries]
    assert since_ms == [400_000, 998_500, 0, 698_500]


def test_logs_come_as_they_are_written_and_end_with_the_client(web):
    web.service.logs_go_on = True
    with opened(web, "/tasks/web/logs?follow=1") as response:
        read = b""
        while read != b"one\ntwo\n":
            read += response.read1()
    web.wait_until(lambda: "logs" in web.service.ended)


def test_a_silent_log_still_sends_its_head(web, monkeypatch):
    monkeypatch.setattr("orion.api.routes.logs.PATIENCE_S", 0.01)
    web.service.log_items, web.service.logs_go_on = [], True
    with opened(web, "/tasks/web/logs?follow=1") as response:
        assert response.status == 200
    web.wait_until(lambda: "logs" in web.service.ended)


@pytest.mark.parametrize(("error", "status"), [(NotFound("no such"), 404), (EngineDown("no engine"), 502)])
def test_an_error_before_the_first_line_is_a_problem_document(web, error, status):
    web.service.log_items = [error]
    answer = web.ask("GET", "/tasks/web/logs")
    assert (answer.status, answer.kind, answer.json["detail"]) == (status, "application/problem+json", error.detail)


def test_an_error_after_it_breaks_the_body_off(web):
    web.service.log_items = [b"one\n", Unavailable("node2 is gone")]
    with opened(web, "/tasks/web/logs") as response, pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert caught.value.partial == b"one\n"


def test_a_mistake_in_the_service_breaks_it_off_too(web, caplog):
    web.service.log_items = [b"one\n", KeyError("oops")]
    with opened(web, "/tasks/web/logs") as response, pytest.raises(http.client.IncompleteRead):
        response.read()
    assert "oops" in caplog.text
    web.service.log_items = [KeyError("oops")]
    assert web.ask("GET", "/tasks/web/logs").status == 500


def test_text_with_its_times(web):
    web.service.log_items = [b"half", b" a line\n", LogNotice("web/0 moved"), b"two\n", LogEnd("web/0 failed")]
    answer = web.ask("GET", "/tasks/web/logs?timestamps")
    assert answer.body.decode().splitlines() == [
        "2025-01-01T00:00:01.000000000Z half a line",
        "2025-01-01T00:00:04.000000000Z two",
    ]


SENT_EVENTS = {"Accept": "text/event-stream"}


def test_logs_as_events(web):
    web.service.log_items = [b"one\n", LogNotice("web/0 moved"), b"\xff", LogEnd("web/0 failed")]
    answer = web.ask("GET", "/tasks/web/logs", headers=SENT_EVENTS)
    assert (answer.status, answer.kind) == (200, "text/event-stream")
    _, first, notice, second, end, _ = answer.body.decode().split("\n\n")
    position, data = first.splitlines()
    assert position == "id: 000000a1,2025-01-01T00:00:01.000000000Z,1,2025-01-01T00:00:01.000000000Z,0"
    assert json.loads(data.removeprefix("data: ")) == {
        "allocation": "000000a1",
        "nodeId": "node1",
        "lines": [{"at": "2025-01-01T00:00:01.000000000Z", "stream": "stdout", "text": "one\n"}],
    }
    assert notice == 'event: notice\ndata: {"text":"web/0 moved"}'
    (line,) = json.loads(second.splitlines()[1].removeprefix("data: "))["lines"]
    assert (line["text"], line["base64"]) == ("", "/w==")
    assert end == 'event: end\ndata: {"text":"web/0 failed"}'


@pytest.mark.parametrize("how", ["parameter", "header"])
def test_logs_go_on_after_an_event(web, how):
    after = str(log_piece(7, b"seven").position)
    path, headers = "/tasks/web/logs?follow", {**SENT_EVENTS, "Last-Event-ID": after}
    if how == "parameter":
        path, headers = f"{path}&after={after}", SENT_EVENTS
    assert web.ask("GET", path, headers=headers).status == 200
    assert [str(position) for position in web.service.logs_after] == [after]
    assert web.ask("GET", "/tasks/web/logs?after=1.0").status == 400


def test_silent_logs_show_signs_of_life(web, monkeypatch):
    monkeypatch.setattr("orion.api.routes.logs.PATIENCE_S", 0.01)
    monkeypatch.setattr("orion.api.http.stream.HEARTBEAT_S", 0.01)
    web.service.log_items, web.service.logs_go_on = [], True
    with opened(web, "/tasks/web/logs?follow", SENT_EVENTS) as response:
        read = b""
        while read.count(b": still here\n\n") < 3:
            read += response.read1()


def test_logs_that_fall_silent_show_signs_of_life(web, monkeypatch):
    monkeypatch.setattr("orion.api.http.stream.HEARTBEAT_S", 0.01)
    web.service.logs_go_on = True
    with opened(web, "/tasks/web/logs?follow", SENT_EVENTS) as response:
        read = b""
        while b"data:" not in read or read.rpartition(b"data:")[2].count(b": still here\n\n") < 3:
            read += response.read1()


def test_a_reader_that_has_stopped_is_dropped_in_the_end(web, monkeypatch):
    monkeypatch.setattr("orion.api.reader.LOOK_S", 0.01)
    monkeypatch.setattr("orion.api.reader.STOPPED_S", 0.05)
    web.service.log_items, web.service.logs_go_on = [b"x" * 70_000] * 200, True
    with opened(web, "/tasks/web/logs?follow"):
        web.wait_until(lambda: "logs" in web.service.ended)


def test_a_reader_that_waits_for_more_is_not_dropped(web, monkeypatch):
    monkeypatch.setattr("orion.api.reader.LOOK_S", 0.001)
    monkeypatch.setattr("orion.api.reader.STOPPED_S", 0.2)
    monkeypatch.setattr("orion.api.http.stream.HEARTBEAT_S", 0.02)
    web.service.log_items, web.service.logs_go_on = [], True
    with opened(web, "/tasks/web/logs?follow", SENT_EVENTS) as response:
        read = b""
        while read.count(b": still here\n\n") < 20:  # for longer than it takes to be called stopped
            read += response.read1()
        assert not web.service.ended


def test_many_readers_at_once(web):
    web.service.log_items = [b"x" * 70_000] * 50
    sizes = []
    threads = [
        threading.Thread(target=lambda: sizes.append(len(web.ask("GET", "/tasks/web/logs").body))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sizes == [3_500_000] * 8


# --- events ------------------------------------------------------------------------------------------------


def test_events(api):
    api.service.event_items = [FIRST, None, SECOND]
    answer = api.ask("GET", "/events?follow=0")
    assert (answer.status, answer.kind) == (200, "text/event-stream")
    head, first, reset, second, end = answer.body.decode().split("\n\n")
    assert head == "retry: 1000"
    assert reset == "event: reset\ndata: {}"
    assert end == ""
    assert first.splitlines()[0] == "id: 1.0"
    event_id, data = second.splitlines()
    assert event_id == "id: 1.1"
    assert json.loads(data.removeprefix("data: ")) == {
        "id": "1.1",
        "at": "2023-11-14T22:13:20.005Z",
        "kind": "TaskStarted",
        "subject": "web/0",
        "text": "web/0 runs\non node1",
    }
    assert api.service.events_asked == [(None, False)]


@pytest.mark.parametrize(
    ("target", "headers", "asked"),
    [
        ("/events", {}, (None, True)),
        ("/events?after=0.0", {}, ((0, 0), True)),
        ("/events", {"Last-Event-ID": "12.3"}, ((12, 3), True)),
        ("/events?after=1.0&follow=0", {"Last-Event-ID": "12.3"}, ((12, 3), False)),
        ("/events", {"Last-Event-ID": "of another server"}, (None, True)),
    ],
)
def test_events_from_where(api, target, headers, asked):
    api.service.event_items = [FIRST]
    api.ask("GET", target, headers=headers)
    assert api.service.events_asked == [asked]


def test_which_events(api):
    assert api.ask("GET", "/events?follow=0&since=1735689600&tail=5&subject=web,node1").status == 200
    assert api.service.events_chosen == [EventChoice(1_735_689_600_000, 5, ("web", "node1"))]
    assert api.ask("GET", "/events?subject=web,,node1").status == 400


def test_events_begin_at_once_and_beat_while_nothing_happens(api, monkeypatch):
    monkeypatch.setattr("orion.api.routes.cluster.EVENTS_PATIENCE_S", 0.01)
    monkeypatch.setattr("orion.api.http.stream.HEARTBEAT_S", 0.01)
    api.service.events_go_on = True
    with opened(api, "/events") as response:
        read = b""
        while read.count(b": still here\n\n") < 3:
            read += response.read1()
        assert read.startswith(b": still here\n\n")
    api.wait_until(lambda: "events" in api.service.ended)
