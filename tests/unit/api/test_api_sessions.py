"""Sessions as WebSockets, by the client and by hand."""

import socket

import msgspec
import pytest

from orion.client import Client
from orion.model.api.checks import CheckView, RunChecksView
from orion.model.api.websocket import Messages, Opcode, frame
from orion.model.errors import NotFound, Refused, Unavailable
from orion.model.sessions import Connect, Exec, GetFiles, Input, InputEnd, PutFiles, Resize

MASK = b"\x01\x02\x03\x04"
HEADERS = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def client(api):
    with Client(f"127.0.0.1:{api.port}") as client:
        yield client


def test_a_program_s_streams_and_exit_code_come(client, api):
    with client.exec("web", ["both"]) as session:
        assert [(o.stream, o.data) for o in session] == [(1, b"out"), (2, b"err")]
        assert session.exit_code == 0
    with client.exec("web/0", ["exit", "7"]) as session:
        assert list(session) == []
        assert session.exit_code == 7
    api.wait_until(lambda: all(each.closed for each in api.service.sessions))


def test_what_is_asked_for_and_typed_arrives(client, api):
    asked = {"user": "app", "workdir": "/tmp", "env": {"A": "b c"}, "columns": 80, "rows": 24}
    with client.exec("web", ["cat"], tty=True, stdin=True, **asked) as session:
        session.write(b"x" * 100_000)
        session.resize(100, 30)
        session.end_input()
        assert b"".join(o.data for o in session) == b"x" * 100_000
    (made,) = api.service.sessions
    assert made.purpose == Exec(("cat",), True, True, "app", "/tmp", ("A=b c",), 80, 24)
    assert [type(t) for t in made.typed] == [Input, Input, Resize, InputEnd]
    assert made.typed[2] == Resize(100, 30)


def test_a_port_is_a_session_too(client, api):
    with client.connect("web", 5432) as session:
        session.write(b"ping")
        session.end_input()
        assert b"".join(o.data for o in session) == b"ping"
    assert api.service.sessions[0].purpose == Connect(5432)


def test_what_is_wrong_is_said_before_and_after_the_beginning(client):
    with pytest.raises(NotFound, match="there is no task other"):
        client.exec("other", ["cat"])
    with pytest.raises(Refused, match="there is no command"):
        client.exec("web", [])
    with pytest.raises(Refused, match="port 70000 is none"):
        client.connect("web", 70_000)
    with client.exec("web", ["fail"]) as session:
        outputs = iter(session)
        assert next(outputs).data == b"begun"
        with pytest.raises(Unavailable, match="node2 has gone"):
            next(outputs)


def test_whoever_hangs_up_ends_the_session(client, api):
    with client.exec("web", ["hang"]):
        assert not api.service.sessions[0].closed
    api.wait_until(lambda: api.service.sessions[0].closed)
    with client.exec("web", ["flood"]) as session:
        next(iter(session))
    api.wait_until(lambda: api.service.sessions[1].closed)


def test_a_client_that_reads_nothing_holds_up_the_output(client, api):
    with client.exec("web", ["flood"]):
        api.wait_until(lambda: any(c.unsent for c in api.server.connections.open))
        (connection,) = [c for c in api.server.connections.open if c.under_way]
        assert connection.transport.get_write_buffer_size() < 400_000
    api.wait_until(lambda: api.service.sessions[0].closed)


def upgraded(api, path, data=b"", **headers):
    """The whole answer to a request by hand, until the server closes."""
    with socket.create_connection((api.host, api.port), timeout=300) as sock:
        head = {"Host": f"{api.host}:{api.port}", **HEADERS, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
        sock.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(65_536)
        head, _, rest = answer.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            return head, []
        messages, found = Messages(masked=False), []
        while not any(m.opcode is Opcode.CLOSE for m in found):
            found += messages.feed(rest)
            rest = b"" if any(m.opcode is Opcode.CLOSE for m in found) else sock.recv(65_536)
        return head, found


def test_what_comes_right_behind_the_request_is_taken(api):
    data = frame(Opcode.BINARY, b"\0hello", MASK) + frame(Opcode.TEXT, b'{"type":"end"}', MASK)
    head, found = upgraded(api, "/tasks/web/exec?command=cat&stdin=1", data)
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    texts = [m.data for m in found if m.opcode in (Opcode.BINARY, Opcode.TEXT)]
    assert texts == [b"\x01hello", b'{"type":"exit","code":0}']


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(Opcode.BINARY, b"\x05x", MASK), "begins with the byte of its stream"),
        (frame(Opcode.TEXT, b"{}", MASK), "is not understood"),
        (frame(Opcode.TEXT, b'{"type":"resize","columns":-1,"rows":5}', MASK), "no window has -1 columns"),
        (frame(Opcode.BINARY, b"without a mask"), "closed the session"),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", "closed the session"),
    ],
)
def test_messages_that_are_none_end_the_session_in_words(api, data, words):
    _, found = upgraded(api, "/tasks/web/exec?command=hang", data)
    (text,) = [m.data for m in found if m.opcode is Opcode.TEXT]
    assert words in msgspec.json.decode(text)["detail"]
    api.wait_until(lambda: api.service.sessions[0].closed)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": ""}, b" 426 "),
        ({"Sec-WebSocket-Version": "8"}, b" 426 "),
        ({"Sec-WebSocket-Key": "short"}, b" 426 "),
        ({"Origin": "http://evil.example"}, b" 403 "),
    ],
)
def test_requests_that_are_no_websocket_s_are_refused(api, headers, status):
    head, _ = upgraded(api, "/tasks/web/exec?command=cat", **headers)
    assert status in head.partition(b"\r\n")[0]
    assert api.service.sessions == []


def test_a_page_of_this_very_address_may_open_one(api):
    head, _ = upgraded(api, "/tasks/web/exec?command=exit&command=3", Origin=f"http://{api.host}:{api.port}")
    assert b" 101 " in head


def test_files_go_both_ways(client, api):
    assert b"".join(client.get_files("web", "/etc/hosts")) == b"a tar"
    client.put_files("web", "/tmp", iter([b"x" * 70_000, b"y" * 70_000]))
    gotten, put = api.service.sessions
    assert gotten.purpose == GetFiles("/etc/hosts")
    assert put.purpose == PutFiles("/tmp")
    assert b"".join(t.data for t in put.typed[:-1]) == b"x" * 70_000 + b"y" * 70_000
    with pytest.raises(NotFound):
        client.put_files("other", "/tmp", iter([b"x"]))
    with pytest.raises(Refused, match="begins with /"):
        list(client.get_files("web", "tmp"))


def test_results_of_checks_are_told_a_run_after_the_other(client, api):
    one = RunChecksView("a1", "node1", None, [], "node1 does not answer")
    two = RunChecksView(
        "a2", "node2", "2025-01-01T00:00:00.000Z", [CheckView("2025-01-01T00:00:05.000Z", False, 0.25, "503")]
    )
    api.service.checks_of = {"web/0": [one, two]}
    assert client.checks("web") == client.checks("web/0") == [one, two]
    (_, shown) = api.ask("GET", "/tasks/web/checks").json
    assert shown == {
        "allocation": "a2",
        "nodeId": "node2",
        "since": "2025-01-01T00:00:00.000Z",
        "checks": [{"at": "2025-01-01T00:00:05.000Z", "ok": False, "seconds": 0.25, "output": "503"}],
        "reason": "",
    }
    with pytest.raises(NotFound):
        client.checks("other")


def test_use_is_told_once_or_again_and_again(client):
    (once,) = client.stats("web")
    assert (once.task, once.node_id, once.cpu, once.memory) == ("web", "node1", 0.25, 64_000_000)
    assert list(client.stats("web", follow=True)) == [once] * 3
    with pytest.raises(NotFound):
        list(client.stats("other", follow=True))
