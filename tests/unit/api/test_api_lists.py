"""Lists over HTTP: pages, and clients that take their time."""

import contextlib
import gc
import socket

import pytest

from unit.api.fake_service import PATIENT_S, FakeService, node_view, running, task_view

MUCH = 20_000_000  # more than the kernel keeps


@pytest.mark.parametrize("what", ["tasks", "nodes", "configs"])
def test_pages_hold_each_row_once_and_in_order(api, what):
    names = [f"a{number}" for number in range(10)]
    api.service.tasks_by_id = {f"{name}/0": task_view(name) for name in names}
    api.service.nodes_by_name = {name: node_view(name) for name in names}
    for name in names:
        api.ask("PUT", f"/configs/{name}", b"x")
    key = {"tasks": "id", "nodes": "name", "configs": "key"}[what]
    whole = api.ask("GET", f"/{what}")
    assert "X-Orion-Next" not in whole.headers
    found, after = [], ""
    while True:
        page = api.ask("GET", f"/{what}?limit=3{after}")
        assert page.headers["X-Orion-Index"] == whole.headers["X-Orion-Index"]
        found.append(page.json)
        following = page.headers["X-Orion-Next"]
        if following is None:
            break
        assert following == page.json[-1][key]
        after = f"&after={following}"
    assert [len(rows) for rows in found] == [3, 3, 3, 1]
    assert [row for rows in found for row in rows] == whole.json
    assert api.ask("GET", f"/{what}?limit=10").headers["X-Orion-Next"] is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit must be a whole number of rows, 1 or more"),
        ("limit=all", "limit must be"),
        ("after=A%20B", "after must be a task's id, as in web/0"),
        ("after=web/" + "9" * 5_000, "after must be"),
    ],
)
def test_wrong_pages(api, query, words):
    answer = api.ask("GET", f"/tasks?{query}")
    assert answer.status == 400
    assert words in answer.json["detail"]


def much_to_list():
    service = FakeService()
    service.tasks_by_id = {f"t{i}/0": task_view(f"t{i}", reason="x" * 10_000) for i in range(MUCH // 10_000)}
    return service


@contextlib.contextmanager
def asking(api):
    with socket.socket() as client:
        client.settimeout(PATIENT_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect((api.host, api.port))
        client.sendall(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield client


def listings():
    return [each for each in gc.get_objects() if type(each).__name__ == "ListResponse"]


def test_who_takes_nothing_of_a_list_is_cut_off_and_it_is_let_go(monkeypatch):
    monkeypatch.setattr("orion.api.http.lists.TAKE_S", 0.05)
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", 0.05)
    with running(much_to_list()) as api, asking(api):
        api.wait_until(lambda: api.service.reads)
        api.wait_until(lambda: not api.server.connections.open)
        api.wait_until(lambda: not listings())


def test_of_a_list_that_is_taken_slowly_little_waits_in_a_connection():
    with running(much_to_list()) as api, asking(api) as client:
        api.wait_until(lambda: any(each.unsent for each in api.server.connections.open))
        (connection,) = api.server.connections.open
        taken, most = 0, 0
        while taken < MUCH:
            most = max(most, connection.transport.get_write_buffer_size())
            part = client.recv(1_000_000)
            assert part, "cut off"
            taken += len(part)
        assert most < 512 * 1024
