"""The typed client against the real API, and against what is no API at all."""

import asyncio
import contextlib
import socket
import threading

import pytest

from orion.client import Client, Conflict, Invalid, NotFound, OrionError, Refused, TaskRequest, Unavailable, silence
from orion.client.transport import parse_address
from orion.model.errors import EngineDown
from orion.model.events import Event
from orion.model.logs import LogEnd, LogNotice
from unit.api.fake_service import log_piece, running, task_view


def test_tasks(client, api):
    made = client.create_task(TaskRequest(image="nginx", port_bindings={"80/tcp": "8080"}))
    assert made == api.service.tasks_by_id["web-00001/0"]
    assert api.service.creates[0]["request"].port_bindings == {"80/tcp": "8080"}
    assert client.tasks() == [made]
    assert client.task("web-00001") == client.task("web-00001/0", stale=True) == made
    assert client.stop_task("web-00001/0").stopped
    assert client.start_task("web-00001").state == "running"
    assert client.delete_task("web-00001/0").id == made.id
    assert client.tasks() == []


def test_waiting_and_keys(client, api):
    client.create_task(TaskRequest(image="nginx"), wait_running_s=42, idempotency_key="mine")
    client.create_task(TaskRequest(image="nginx", name="b"))
    client.create_task(TaskRequest(image="nginx", name="c"))
    first, second, third = api.service.creates
    assert (first["wait_running_s"], first["key"]) == (42.0, "mine")
    assert second["wait_running_s"] == 0
    assert second["key"] != third["key"]


def test_the_timeout_is_the_nodes_too(api):
    with Client(f"127.0.0.1:{api.port}", timeout_s=2.5) as client:
        client.tasks()
    assert api.service.reads[0].timeout_s == 2.5


def test_polling(client, api):
    tasks, index = client.poll_tasks()
    assert (tasks, index) == ([], 7)
    assert client.poll_tasks(7, wait_s=0.05) == ([], 7)
    api.service.tasks_by_id["web/0"] = task_view("web")
    assert client.poll_task("web", 3, wait_s=60)[1] == 7
    assert api.service.reads[-1].after_index == 3


def test_configs(client, api):
    made = client.put_config("app/a", b"\0any\xff", if_version=0)
    assert (made.key, made.size) == ("app/a", 5)
    read = client.config("app/a")
    assert (read.key, read.value, read.version) == ("app/a", b"\0any\xff", made.version)
    assert client.config("app/a", stale=True) == read
    with pytest.raises(Conflict, match=f"at version {made.version}"):
        client.put_config("app/a", b"x", if_version=0)
    changed = client.put_config("app/a", b"x", if_version=made.version)
    assert client.configs("app/") == client.configs() == [changed]
    assert client.configs("b") == []
    with pytest.raises(Conflict):
        client.delete_config("app/a", if_version=made.version)
    assert client.delete_config("app/a", if_version=changed.version) == changed
    with pytest.raises(NotFound):
        client.config("app/a")
    with pytest.raises(NotFound):
        client.delete_config("app/a")


def test_a_value_comes_with_its_version_and_times(client, api):
    client.put_config("a", b"x")
    client.put_config("a", b"\xff\xff")
    value, view = client.config_and_view("a")
    assert value == b"\xff\xff"
    assert (view.key, view.version, view.size) == ("a", 9, 2)
    assert view.created_at == view.changed_at == "2023-11-14T22:13:20.000Z"
    assert client.config_and_view("a", stale=True) == (value, view)
    assert api.service.reads[-1].stale


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "the key is empty"),
        ("a/", "'a/' is not a key"),
        ("a\n", r"'a\n' is not a key"),
        ("..", "'..' is not a key"),
        ("\udcff", r"'\udcff' is not a key"),
    ],
)
def test_what_is_no_key_is_not_asked_for(client, api, key, words):
    for ask in (
        client.config,
        client.config_and_view,
        client.delete_config,
        lambda key: client.put_config(key, b"x"),
    ):
        with pytest.raises(Refused) as caught:
            ask(key)
        assert words in caught.value.detail
    assert not api.service.configs.asked


def test_a_name_that_is_no_text_is_not_there(client):
    with pytest.raises(NotFound, match="there is no node"):
        client.node("\udcff")


def test_a_change_of_a_config_may_be_repeated(client, api):
    first = client.put_config("a", b"x", if_version=0, idempotency_key="mine")
    assert client.put_config("a", b"x", if_version=0, idempotency_key="mine") == first
    client.put_config("b", b"x")
    client.put_config("b", b"x")
    keys = [asked["command"].idempotency_key for asked in api.service.configs.asked]
    assert len(set(keys)) == 3


def test_polling_configs(client, api):
    assert client.poll_configs("a") == ([], 7)
    assert client.poll_configs("a", 7, wait_s=0.05) == ([], 7)
    made = client.put_config("a", b"x")
    assert client.poll_configs("a", 7, wait_s=60) == ([made], 8)


def test_nodes(client):
    assert [node.name for node in client.nodes()] == ["node1", "node2"]
    assert client.node("node1").memory.used is None
    assert client.drain("node1").status == "drained"
    assert client.ready("node1").status == "alive"
    client.remove_node("node1")
    with pytest.raises(NotFound):
        client.node("node1")


def test_cluster(client, api):
    assert client.raft().leader == "node1"
    assert client.transfer_leader("node2").term == 3
    assert client.transfer_leader().term == 3
    assert api.service.transfers == ["node2", ""]
    assert client.health().ready
    assert "orion_raft_term 3" in client.metrics()


def test_logs(client, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    assert [line.text for line in client.logs("web", tail=5, since="1735689600", stream="stderr")] == [
        b"one\n",
        b"two\n",
    ]
    query = api.service.log_queries[0]
    assert (query.follow, query.tail, query.since_ns, query.stdout) == (False, 5, 1_735_689_600_000_000_000, False)


def test_following_logs_can_be_left(client, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    api.service.logs_go_on = True
    stream = client.logs("web", follow=True)
    assert next(stream).text == b"one\n"
    stream.close()
    api.wait_until(lambda: "logs" in api.service.ended)


def test_logs_that_break_off(client, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    api.service.log_items = [b"one\n", EngineDown("gone")]
    stream = client.logs("web")
    assert next(stream).text == b"one\n"
    with pytest.raises(Unavailable, match="broke off"):
        next(stream)


def test_followed_logs_go_on_where_they_broke_off(client, api):
    api.service.tasks_by_id["web/0"] = task_view("web")
    api.service.log_items = [b"one\n", Unavailable("node2 is gone")]
    told = []

    def on_notice(text):
        told.append(text)
        api.service.log_items = [
            LogNotice("web/0: moved"),
            log_piece(2, b"\xfftwo\n"),
            LogEnd("web/0 has completed"),
        ]

    lines = list(client.logs("web", follow=True, tail=5, on_notice=on_notice))
    assert [(line.text, line.stream, line.node) for line in lines] == [
        (b"one\n", "stdout", "node1"),
        (b"\xfftwo\n", "stdout", "node1"),
    ]
    assert api.service.logs_after == [None, log_piece(1, b"").position]
    assert told == [
        f"the stream from 127.0.0.1:{api.port} broke off; trying again",
        "web/0: moved",
        "web/0 has completed",
    ]


def test_followed_logs_go_on_at_another_node():
    with running() as first, running() as second:
        for each in (first, second):
            each.service.tasks_by_id["web/0"] = task_view("web")
        first.service.log_items = [b"one\n", Unavailable("cut off")]
        second.service.log_items = [b"two\n", LogEnd("web/0 has completed")]
        with Client(f"127.0.0.1:{first.port},127.0.0.1:{second.port}") as client:
            assert [line.text for line in client.logs("web", follow=True)] == [b"one\n", b"two\n"]
        assert second.service.logs_after == [log_piece(1, b"").position]


def test_logs_that_never_began_are_no_break(client, api):
    with pytest.raises(NotFound):
        next(client.logs("web", follow=True))
    api.service.failure = Unavailable("no majority")
    with pytest.raises(Unavailable, match="no majority"):
        next(client.logs("web", follow=True))


def test_a_stream_that_falls_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("orion.client.cluster.STREAM_SILENCE_S", 0.1)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: still here\n\n"
    words = pytest.raises(Unavailable, match=r"did not answer within 0.1 s")
    with silent_after(head) as port, Client(f"127.0.0.1:{port}") as client, words:
        next(client.events())


@contextlib.contextmanager
def silent_after(answer):
    """A port whose every connection is answered with these bytes, and stays open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    kept.append(connection)
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            for connection in kept:
                connection.close()


def test_events(client, api):
    api.service.event_items = [Event(1, 0, 0, "NodeJoined", "node1", "node1 joined"), None]
    first, reset = client.events("0.0", follow=False)
    assert (first.id, first.at, first.text) == ("1.0", "1970-01-01T00:00:00.000Z", "node1 joined")
    assert reset is None
    assert api.service.events_asked == [((0, 0), False)]


# --- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Conflict("taken"), NotFound("none"), Unavailable("no quorum"), EngineDown("down"), Refused("no")]
)
def test_errors_come_back_as_themselves(client, api, error):
    api.service.failure = error
    with pytest.raises(type(error)) as caught:
        client.nodes()
    assert type(caught.value) is type(error)
    assert caught.value.detail == error.detail


def test_wrong_fields_come_back_with_their_pointers(client):
    with pytest.raises(Invalid) as caught:
        client.create_task(TaskRequest(image="Bad", memory=-1))
    assert {e.pointer for e in caught.value.errors} == {"/image", "/memory"}
    assert "memory is negative" in caught.value.detail


def test_a_task_name_can_not_reach_another_path(client):
    with pytest.raises(OrionError):
        client.task("../nodes?stale=1")


def test_nobody_there():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    for call in (lambda c: c.tasks(), lambda c: next(c.events()), lambda c: next(c.logs("web"))):
        with Client(f"localhost:{port}") as client, pytest.raises(Unavailable) as caught:
            call(client)
        assert f"no Orion node answers at localhost:{port}: is it running?" in caught.value.detail


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_either_loopback_address(host):
    """Whatever this machine's hosts file says of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        with (
            Client(f"localhost:{server.getsockname()[1]}", timeout_s=0.1) as client,
            pytest.raises(Unavailable) as told,
        ):
            client.tasks()
        assert "did not answer within" in told.value.detail


def test_one_of_several_answers(api):
    with Client(f"nowhere.invalid:8000,localhost:1,127.0.0.1:{api.port}") as client:
        assert client.tasks() == []
        assert client.address == f"127.0.0.1:{api.port}"


@pytest.fixture
def impatient(api, monkeypatch):
    """A client that soon looks whether a silent node lives. The one that does is given all the time it needs."""
    lives = silence.lives

    def seen(sock):
        monkeypatch.setattr(silence, "PROBE_S", 60 if sock.getpeername()[1] == api.port else 0.2)
        return lives(sock)

    monkeypatch.setattr(silence, "LOOK_S", 0.05)
    monkeypatch.setattr(silence, "lives", seen)


def test_a_node_that_stands_still_is_passed_over(api, impatient):
    """Its kernel takes connections, and what is written to them."""
    with silent_after(b"") as port, Client(f"127.0.0.1:{port},127.0.0.1:{api.port}") as client:
        api.service.event_items = [Event(1, 0, 0, "NodeJoined", "node1", "node1 joined")]
        assert next(client.events("0.0", follow=False)).text == "node1 joined"
        assert client.address == f"127.0.0.1:{api.port}"
    with silent_after(b"") as port, Client(f"127.0.0.1:{port},127.0.0.1:{api.port}") as client:
        assert client.tasks() == []
        assert client.address == f"127.0.0.1:{api.port}"


def test_a_change_that_has_a_key_is_asked_of_the_next_node(api, impatient):
    with silent_after(b"") as port, Client(f"127.0.0.1:{port},127.0.0.1:{api.port}") as client:
        client.create_task(TaskRequest(image="nginx"), idempotency_key="k")
        assert [each["key"] for each in api.service.creates] == ["k"]


def test_a_change_without_a_key_is_asked_of_one_node_alone(api, impatient, monkeypatch):
    """The node that stands still may go on, and make it a second time."""
    monkeypatch.setattr("orion.client.session.MARGIN_S", 0.05)
    both = "127.0.0.1:{},127.0.0.1:{}"
    with (
        silent_after(b"") as port,
        Client(both.format(port, api.port), timeout_s=0.2) as client,
        pytest.raises(Unavailable, match="did not answer within"),
    ):
        client.restart_job("web")


def test_a_node_that_takes_its_time_is_waited_for(api, impatient, monkeypatch):
    looked, answer, lives = threading.Event(), api.service.tasks, silence.lives

    def seen(sock):
        looked.set()
        return lives(sock)

    async def when_looked_at(*asked):
        await asyncio.to_thread(looked.wait, 120)
        return await answer(*asked)

    monkeypatch.setattr(silence, "lives", seen)
    monkeypatch.setattr(api.service, "tasks", when_looked_at)
    with silent_after(b"") as port, Client(f"127.0.0.1:{api.port},127.0.0.1:{port}") as client:
        assert client.tasks() == []
        assert client.address == f"127.0.0.1:{api.port}"
    assert looked.is_set()


def test_where_all_stand_still_the_last_is_waited_for(impatient, monkeypatch):
    monkeypatch.setattr("orion.client.session.MARGIN_S", 0.05)
    with (
        silent_after(b"") as one,
        silent_after(b"") as other,
        Client(f"127.0.0.1:{one},127.0.0.1:{other}", timeout_s=0.2) as client,
        pytest.raises(Unavailable, match=rf"127.0.0.1:{other} did not answer within"),
    ):
        client.tasks()


def test_no_such_host():
    with pytest.raises(Unavailable, match=r"there is no host nowhere\.invalid"):
        Client("nowhere.invalid:8000").tasks()


@contextlib.contextmanager
def answering(*answers: bytes | None):
    """A socket that reads one request and writes each of these bytes, a connection each; None: never answers."""
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    done.wait(60)
                else:
                    with contextlib.suppress(ConnectionError):  # a client that has seen enough
                        connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join(60)
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n<html></html>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a": "b"}',
    ],
)
def test_something_else_answers(answer):
    with (
        answering(answer) as address,
        Client(address) as client,
        pytest.raises(Refused, match=r"is not (an )?Orion"),
    ):
        client.tasks()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks no HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks no HTTP"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "another HTTP than 1.1"),
        (b"x" * 70_000, "head of its answer is too large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "head of its answer is too large"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "head of its answer is too large"),
    ],
)
def test_a_head_that_can_not_be_read_says_what_answers_there(answer, words):
    """Of a plain request and of a stream; what is asked next goes over a new connection."""
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    with answering(answer, answer, good) as address, Client(address) as client:
        for ask in (client.tasks, lambda: next(client.logs("web"))):
            with pytest.raises(Refused) as caught:
                ask()
            assert f"what answers at {address} is not Orion: " in caught.value.detail
            assert words in caught.value.detail
        assert client.tasks() == []


@pytest.mark.parametrize("number", [b"\xb2", b"9" * 5_000, b"-1"])
def test_an_index_that_is_no_number_is_none(number):
    answer = b"HTTP/1.1 200 OK\r\nX-Orion-Index: %b\r\nETag: %b\r\nContent-Length: 2\r\n\r\n[]"
    with answering(answer % (number, number)) as address, Client(address) as client:
        assert client.poll_tasks() == ([], 0)


def test_it_hangs_up_without_an_answer():
    with (
        answering(b"") as address,
        Client(address) as client,
        pytest.raises(Unavailable, match="without an answer"),
    ):
        client.tasks()


def test_it_hangs_up_in_the_middle_of_an_answer():
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n["
    with answering(cut) as address, Client(address) as client, pytest.raises(Unavailable, match="broke off"):
        client.tasks()


def test_it_never_answers(monkeypatch):
    monkeypatch.setattr("orion.client.session.MARGIN_S", 0.05)
    with (
        answering(None) as address,
        Client(address, timeout_s=0.05) as client,
        pytest.raises(Unavailable, match="did not answer within"),
    ):
        client.tasks()


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again(monkeypatch):
    monkeypatch.setattr("orion.api.http.server.KEEP_ALIVE_S", 0.01)
    with running() as api, Client(f"127.0.0.1:{api.port}") as client:
        client.create_task(TaskRequest(image="nginx"))
        api.wait_until(lambda: not api.server.connections.open)
        client.create_task(TaskRequest(image="nginx", name="b"))
        assert len(api.service.creates) == 2


def test_a_body_that_is_too_large(client):
    for _ in range(3):
        with pytest.raises(OrionError) as caught:
            client.create_task(TaskRequest(image="x" * 4_000_000))
        assert caught.value.code == "too_large"
    assert client.tasks() == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("node1:80", ("node1", 80)),
        ("node1", ("node1", 8000)),
        (":81", ("localhost", 81)),
        ("http://node1:80/", ("node1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 8000)),
        ("::1", ("::1", 8000)),
        ("10.0.0.1:9", ("10.0.0.1", 9)),
    ],
)
def test_addresses(text, parts):
    assert parse_address(text) == parts


@pytest.mark.parametrize(
    "text", ["https://node1:80", "node1:0", "node1:x", "node1:99999", "node1/path", "a:1000000000000"]
)
def test_what_is_no_address(text):
    with pytest.raises(Refused, match="not a node's address"):
        parse_address(text)
