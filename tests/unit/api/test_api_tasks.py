"""/tasks, /nodes, /raft and the rest over real HTTP, on a service that answers from memory."""

import contextlib
import json
import threading

import pytest

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Conflict, Unavailable
from unit.api.fake_service import task_view


def test_create(api):
    answer = api.ask("POST", "/tasks", b'{"image": "nginx", "memory": 1e8, "portBindings": {"80/tcp": "8080"}}')
    assert answer.status == 201
    assert answer.kind == "application/json"
    assert answer.headers["Location"] == "/tasks/web-00001/0"
    assert (answer.json["id"], answer.json["restartPolicy"]) == ("web-00001/0", "on-failure")
    made = api.service.creates[0]
    assert made["request"] == TaskRequest(image="nginx", memory=100_000_000, port_bindings={"80/tcp": "8080"})
    assert (made["key"], made["timeout_s"], made["wait_running_s"]) == ("", 10.0, 0.0)
    assert api.ask("GET", answer.headers["Location"]).json == answer.json


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_the_content_type_does_not_matter(api, kind):
    assert api.ask("POST", "/tasks", b'{"image": "nginx"}', {"Content-Type": kind}).status == 201


def test_create_and_wait(api):
    headers = {"Request-Timeout": "2.5", "Idempotency-Key": "abc"}
    assert api.ask("POST", "/tasks?wait=running", b'{"image": "nginx"}', headers).status == 201
    made = api.service.creates[0]
    assert (made["key"], made["timeout_s"], made["wait_running_s"]) == ("abc", 2.5, 2.5)


def test_waiting_for_a_pull_takes_longer_than_ten_seconds_by_itself(api):
    api.ask("POST", "/tasks?wait=running", b'{"image": "nginx"}')
    assert api.service.creates[0]["wait_running_s"] == 300.0


@pytest.mark.parametrize("path", ["/tasks/web/0", "/tasks/web%2F0", "/tasks/web", "/tasks/web/"])
def test_a_task_by_any_form_of_its_id(api, path):
    api.service.tasks_by_id["web/0"] = task_view("web")
    answer = api.ask("GET", path)
    assert answer.status == 200
    assert answer.json["id"] == "web/0"
    assert answer.headers["X-Orion-Index"] == "7"


def test_an_id_with_a_line_end_is_another_id(api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    assert api.ask("DELETE", "/tasks/web%0A").status == 404
    assert api.ask("GET", "/tasks/web/0%0A").status == 404
    assert "web/0" in api.service.tasks_by_id


def test_list_and_delete(api):
    api.service.tasks_by_id = {f"{n}/0": task_view(n) for n in ("b", "a")}
    listing = api.ask("GET", "/tasks")
    assert [task["id"] for task in listing.json] == ["a/0", "b/0"]
    assert listing.headers["X-Orion-Index"] == "7"
    assert api.ask("DELETE", "/tasks/a?createdIndex=7").status == 404
    assert api.ask("DELETE", "/tasks/a").status == 202
    assert api.ask("DELETE", "/tasks/a").status == 404


def test_a_task_is_stopped_and_started(api):
    api.ask("POST", "/tasks", '{"image": "nginx", "name": "web"}')
    for name in ("web", "web/0"):
        answer = api.ask("POST", f"/tasks/{name}/stop")
        assert (answer.status, answer.json["stopped"], answer.json["state"]) == (200, True, "stopped")
        answer = api.ask("POST", f"/tasks/{name}/start")
        assert (answer.status, answer.json["stopped"]) == (200, False)
    assert api.ask("POST", "/tasks/nope/stop").status == 404
    assert api.ask("GET", "/tasks/web/stop").status == 405


def test_reads_say_how_fresh(api):
    api.ask("GET", "/tasks")
    api.ask("GET", "/tasks?stale=1", headers={"Request-Timeout": "3"})
    api.ask("GET", "/nodes?stale&index=3&wait=5")
    first, second, third = api.service.reads
    assert (first.stale, first.after_index, first.wait_s, first.timeout_s) == (False, 0, 0.0, 10.0)
    assert (second.stale, second.timeout_s) == (True, 3.0)
    assert (third.stale, third.after_index, third.wait_s) == (True, 3, 5.0)


def test_a_long_poll_answers_when_the_state_moves_on(api):
    found = []
    thread = threading.Thread(target=lambda: found.append(api.ask("GET", "/tasks?index=7&wait=60")))
    thread.start()
    api.wait_until(lambda: api.service.reads)
    assert not found
    api.change(8)
    thread.join(60)
    assert found[0].headers["X-Orion-Index"] == "8"


def test_a_long_poll_answers_when_its_time_is_up(api):
    assert api.ask("GET", "/tasks?index=7&wait=0.05").headers["X-Orion-Index"] == "7"


def test_a_long_poll_ends_with_its_client(api):
    with contextlib.closing(api.connect()) as connection:
        connection.request("GET", "/tasks?index=7&wait=600")
        api.wait_until(lambda: api.service.reads)
    api.wait_until(lambda: api.service.ended == ["poll"])


def test_nodes(api):
    assert [node["name"] for node in api.ask("GET", "/nodes").json] == ["node1", "node2"]
    node = api.ask("GET", "/nodes/node1").json
    assert node["memory"] == {"total": 8e9, "given": 1e9, "used": None}
    assert api.ask("POST", "/nodes/node1/drain").json["status"] == "drained"
    assert api.ask("POST", "/nodes/node1/ready").json["status"] == "alive"
    labelled = api.ask("POST", "/nodes/node1/labels", b'{"labels": {"disk": "ssd", "id": null}}').json
    assert (labelled["labels"], labelled["labelChanges"]) == ({"disk": "ssd"}, {"disk": "ssd", "id": None})
    removed = api.ask("DELETE", "/nodes/node1")
    assert (removed.status, removed.body) == (204, b"")
    assert api.ask("GET", "/nodes/node1").status == 404


def test_raft(api):
    view = api.ask("GET", "/raft").json
    assert (view["state"], view["commitIndex"], view["voters"][0]["id"]) == ("leader", 7, "node1")
    assert api.ask("POST", "/raft/transfer", b'{"to": "node2"}').status == 200
    assert api.ask("POST", "/raft/transfer").status == 200
    assert api.service.transfers == ["node2", ""]


def test_health(api):
    assert api.ask("GET", "/healthz").json == {"ready": True, "detail": "leader"}
    assert api.ask("GET", "/readyz").status == 200
    api.service.is_ready = False
    assert api.ask("GET", "/healthz").status == 200
    not_ready = api.ask("GET", "/readyz")
    assert (not_ready.status, not_ready.json["detail"]) == (503, "no leader")


def test_metrics_are_in_prometheus_s_text_format(api):
    answer = api.ask("GET", "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body.decode().splitlines() == [
        "# HELP orion_events_total Events so far",
        "# TYPE orion_events_total counter",
        "orion_events_total 9",
        "# HELP orion_raft_term Raft's term",
        "# TYPE orion_raft_term gauge",
        "orion_raft_term 3",
        "# HELP orion_tasks Tasks",
        "# TYPE orion_tasks gauge",
        r'orion_tasks{state="a \"\\\n"} +Inf',
        'orion_tasks{state="pending"} 0.5',
        'orion_tasks{state="running"} 2',
    ]


def test_head_has_no_body(api):
    answer = api.ask("HEAD", "/tasks")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["X-Orion-Index"] == "7"


def test_one_connection_serves_many_requests(api):
    with contextlib.closing(api.connect()) as connection:
        for _ in range(3):
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            assert json.loads(response.read())
            assert not response.will_close


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict("taken"), 409, "conflict"),
        (Unavailable("no quorum"), 503, "unavailable"),
        (KeyError("oops"), 500, "internal"),
    ],
)
def test_what_the_service_raises_is_a_problem_document(api, error, status, code, caplog):
    api.service.failure = error
    for answer in (api.ask("POST", "/tasks", b'{"image": "nginx"}'), api.ask("GET", "/nodes")):
        assert (answer.status, answer.kind) == (status, "application/problem+json")
        assert (answer.json["status"], answer.json["code"]) == (status, code)
        assert "oops" not in answer.json["detail"]
    assert ("oops" in caplog.text) == (status == 500)


def test_a_service_that_forgets_its_deadline_is_cut_off(api, monkeypatch):
    monkeypatch.setattr("orion.api.http.request.MARGIN_S", 0.05)
    api.service.hang = True
    answer = api.ask("GET", "/tasks", headers={"Request-Timeout": "0.01"})
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert "may or may not" in answer.json["detail"]
    api.wait_until(lambda: api.service.ended == ["hang"])
