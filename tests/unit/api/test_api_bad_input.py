"""What is wrong is refused with words, as application/problem+json, and the server goes on."""

import contextlib
import difflib
import json
import socket
from unittest.mock import Mock

import pytest

from unit.api.fake_service import PATIENT_S


def problem(answer, status):
    assert answer.status == status
    assert answer.kind == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert answer.json["detail"]
    return answer.json


def fields(answer):
    return {error["pointer"]: error["message"] for error in problem(answer, 422)["errors"]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'{"image": "nginx"', "ends too early"),
        (b'{\n  "image" "nginx"\n}', "expected ':' at line 2, column 11"),
        (b"image=nginx", "line 1, column 1"),
        (b"\xff\xfe", "line 1, column 1"),
        (b'{"image": "\xff"}', "UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"image": NaN}', "line 1, column 11"),
        (b"[]", "must be a JSON object such as"),
        (b"null", "must be a JSON object such as"),
        (b'"nginx"', "must be a JSON object such as"),
        (b'{"image": "nginx", "memory": 1e400}', "out of range"),
    ],
)
def test_what_is_no_json_object(api, body, words):
    assert words in problem(api.ask("POST", "/tasks", body), 400)["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        (b"{}", "/image", "image is missing"),
        (b'{"image": "nginx", "memroy": 1}', "/memroy", "did you mean memory?"),
        (b'{"image": "nginx", "port_bindings": {}}', "/port_bindings", "did you mean portBindings?"),
        (b'{"image": "nginx", "zzz": 1}', "/zzz", "known are image, name"),
        (b'{"image": "nginx", "a/b~": 1}', "/a~1b~0", "not a field"),
        (b'{"image": 5}', "/image", "must be text, not a number"),
        (b'{"image": null}', "/image", "must be text, not null"),
        (b'{"image": "nginx", "memory": "1g"}', "/memory", "must be a whole number, not text"),
        (b'{"image": "nginx", "memory": 1.5}', "/memory", "must be a whole number, not a fraction"),
        (b'{"image": "nginx", "memory": true}', "/memory", "must be a whole number, not true"),
        (b'{"image": "nginx", "memory": -5}', "/memory", "negative"),
        (b'{"image": "nginx", "memory": 123456789012345678901234567890}', "/memory", "larger than any machine"),
        (b'{"image": "nginx", "cpu": "1"}', "/cpu", "must be a number, not text"),
        (b'{"image": "nginx", "cpu": []}', "/cpu", "must be a number, not a list"),
        (b'{"image": "nginx", "env": []}', "/env", "must be an object"),
        (b'{"image": "nginx", "env": {"A": 1}}', "/env/A", "env A must be text, not a number"),
        (b'{"image": "nginx", "command": "sleep 60"}', "/command", 'write ["sleep","60"]'),
        (b'{"image": "nginx", "command": "sh -c \'it"}', "/command", 'write ["sh","-c"'),
        (b'{"image": "nginx", "command": {}}', "/command", "must be a list, not an object"),
        (b'{"image": "nginx", "command": ["a", 1]}', "/command/1", "command[1] must be text"),
        (b'{"image": "nginx", "portBindings": {"80": 8.5}}', "/portBindings/80", "text or a whole number"),
        (b'{"image": "nginx", "portBindings": {"80/tcp": "65536"}}', "/portBindings/80~1tcp", "1 to 65535"),
        (b'{"image": "nginx", "portBindings": {"0/tcp": ""}}', "/portBindings/0~1tcp", "1 to 65535"),
        (b'{"image": "nginx", "portBindings": ["80"]}', "/portBindings", "must be an object"),
        (b'{"image": "nginx", "restartPolicy": "maybe"}', "/restartPolicy", "on-failure:N"),
        (b'{"image": "nginx", "name": "Web Server"}', "/name", "a-z"),
        (b'{"image": "nginx", "portBindings": {"80": 8080.5}}', "/portBindings/80", "text or a whole number"),
        (b'{"image": "http://nginx"}', "/image", "not the name of an image"),
    ],
)
def test_wrong_fields_are_named(api, body, pointer, words):
    errors = fields(api.ask("POST", "/tasks", body))
    assert list(errors) == [pointer]
    assert words in errors[pointer]
    assert not api.service.tasks_by_id


def test_all_wrong_fields_are_named_at_once(api):
    body = b'{"imgae": "nginx", "memory": "x", "env": {"A": 1, "B": 2}, "command": [1], "foo": {}}'
    errors = fields(api.ask("POST", "/tasks", body))
    assert sorted(errors) == ["/command/0", "/env/A", "/env/B", "/foo", "/image", "/imgae", "/memory"]


MANY = [
    (lambda: {f"k{n:x}": 1 for n in range(90_000)}, "and 89,981 more", 20),  # image is missing too
    (lambda: {"image": "nginx", "command": [1] * 500_000}, "500,000", 1),
    (lambda: {"image": "nginx", "command": ["a"] * 250_000}, "250,000", 1),
    (lambda: {"image": "nginx", "command": [1] * 4_000}, "and 3,980 more", 20),
    (lambda: {"image": "nginx", "env": {f"V{n}": n for n in range(4_000)}}, "and 3,980 more", 20),
    (lambda: {"image": "nginx", "env": {f"V {n}": "" for n in range(4_000)}}, "and 3,980 more", 20),
    (lambda: {"image": "nginx", "env": {f"V{n}": "" for n in range(50_000)}}, "50,000", 1),
    (lambda: {"image": "nginx", "configs": [{"key": 1}] * 80_000}, "80,000", 1),
    (lambda: {"image": "nginx", "configs": [{"key": "a", **{str(n): 1 for n in range(50_000)}}]}, "more", 20),
    (lambda: {"image": "nginx", "command": "it's " * 200_000}, "must be a list of words", 1),
    (lambda: {"image": "nginx", "x" * 1_000_000: 1}, "is not a field", 1),
    (lambda: {"image": "nginx", "env": {"V" * 1_000_000: 1}}, "must be text", 1),
    (lambda: {"image": "nginx", "env": {"V" * 1_000_000: ""}}, "longer than Linux allows", 1),
    (lambda: {"image": "x" * 1_000_000}, "not the name of an image", 1),
    (lambda: {"image": "nginx", "portBindings": {"80": "9" * 1_000_000}}, "does not exist", 1),
    (lambda: {"image": "nginx", "restartPolicy": "a" * 1_000_000}, "is not known", 1),
]


@pytest.mark.parametrize(("body", "words", "count"), MANY)
def test_of_very_many_faults_twenty_are_told_and_how_many_more(api, monkeypatch, body, words, count):
    """One request must not hold the loop, nor the client's memory, for what nobody reads."""
    find = Mock(wraps=difflib.get_close_matches)
    monkeypatch.setattr(difflib, "get_close_matches", find)
    answer = api.ask("POST", "/tasks", json.dumps(body(), separators=(",", ":")))
    told = problem(answer, 422)
    assert words in told["detail"]
    assert len(told["errors"]) == count
    assert len(answer.body) < 16_384
    assert find.call_count <= 20


def test_an_address_with_very_many_parameters(api):
    told = problem(api.ask("GET", "/tasks?" + "&".join(f"a{n}" for n in range(50))), 400)
    assert "and 30 more" in told["detail"]
    answer = api.ask("GET", "/tasks?" + "&".join(f"a{n}" for n in range(9_000)))
    assert "more than 100 parameters" in problem(answer, 400)["detail"]


def test_a_label_is_text_or_null(api):
    errors = fields(api.ask("POST", "/nodes/node1/labels", b'{"labels": {"a": 5}}'))
    assert errors == {"/labels/a": "labels a must be text or null, not a number"}


def test_a_body_over_a_mebibyte_is_refused_and_not_kept(api):
    body = b'{"image": "' + b"x" * 1024 * 1024 + b'"}'
    assert "1048576" in problem(api.ask("POST", "/tasks", body), 413)["detail"]
    just_fits = b'{"image": "nginx"}'.ljust(1024 * 1024)
    assert api.ask("POST", "/tasks", just_fits).status == 201


@pytest.mark.parametrize("digits", [5_001, 60_000])
def test_a_length_without_an_end_is_refused(api, digits):
    with contextlib.closing(socket.create_connection((api.host, api.port), PATIENT_S)) as connection:
        head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\n"
        connection.sendall(head % (b"0" * (digits - 2) + b"18"))
        connection.sendall(b'{"image": "nginx"}')
        assert connection.recv(65_536).split()[1] in {b"400", b"413"}
    assert api.ask("GET", "/tasks/web/" + "9" * digits).status in {404, 422}


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(api):
    with contextlib.closing(socket.create_connection((api.host, api.port), PATIENT_S)) as connection:
        connection.sendall(b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_cut_off_at_a_mebibyte(api):
    with contextlib.closing(api.connect()) as connection:
        chunks = (b"x" * 65536 for _ in range(40))
        connection.request("POST", "/tasks", chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        response = connection.getresponse()
        assert response.status == 413
        assert response.getheader("Connection") == "close"
        response.read()


def test_a_client_that_writes_it_all_first_still_gets_to_the_answer(api):
    for _ in range(5):
        assert api.ask("POST", "/tasks", b"x" * 8_000_000).status == 413


def test_a_client_that_dies_in_the_middle_of_its_body_leaves_nothing(api):
    with contextlib.closing(socket.create_connection((api.host, api.port), PATIENT_S)) as connection:
        connection.sendall(b'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"image": ')
    assert api.ask("GET", "/healthz").status == 200
    assert not api.service.creates


@pytest.mark.parametrize("value", ["abc", "0", "-1", "601", "nan", "inf", ""])
def test_a_wrong_request_timeout(api, value):
    answer = api.ask("GET", "/tasks", headers={"Request-Timeout": value})
    assert "Request-Timeout must be a number of seconds" in problem(answer, 400)["detail"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/tasks?stael=1", "'stael' is not a parameter here; known are: after, limit, stale, index, wait"),
        ("/tasks?stale=maybe", "stale must be 1 or 0, not 'maybe'"),
        ("/tasks?index=-1", "index must be a whole number"),
        ("/tasks?index=1&wait=9999", "wait must be a number of seconds"),
        ("/tasks?index=x&wait=y", "index must be"),
        ("/tasks/web/logs?tail=-1", "tail must be"),
        ("/tasks/web/logs?since=yesterday", "since must be"),
        ("/tasks/web/logs?since=2025-01-01T00:00:00", "since must be"),
        ("/tasks/web/logs?stream=both", "stream must be"),
        ("/events?after=x", "after must be"),
        ("/raft?x=1", "known are: none"),
    ],
)
def test_wrong_parameters(api, target, words):
    assert words in problem(api.ask("GET", target), 400)["detail"]


@pytest.mark.parametrize("key", ["", "x" * 129, "caf\u00e9"])
def test_a_wrong_idempotency_key(api, key):
    answer = api.ask("POST", "/tasks", b'{"image": "nginx"}', {"Idempotency-Key": key.encode("latin-1")})
    assert "Idempotency-Key must be" in problem(answer, 400)["detail"]


def test_wrong_transfer_body(api):
    assert "/too" in fields(api.ask("POST", "/raft/transfer", b'{"too": "node2"}'))
    assert not api.service.transfers


def test_unknown_ids(api):
    for method, path in [
        ("GET", "/tasks/nope"),
        ("DELETE", "/tasks/nope/0"),
        ("GET", "/tasks/nope/logs"),
        ("GET", "/nodes/nope"),
        ("DELETE", "/nodes/nope"),
        ("POST", "/nodes/nope/drain"),
    ]:
        assert "nope" in problem(api.ask(method, path), 404)["detail"]


@pytest.mark.parametrize("path", ["/", "/x", "/tasksx", "/nodes/a/b", "/index.html"])
def test_unknown_paths(api, path):
    assert "/openapi.json" in problem(api.ask("GET", path), 404)["detail"]


def test_wrong_methods_name_the_right_ones(api):
    answer = api.ask("PUT", "/tasks")
    assert problem(answer, 405)["detail"] == "/tasks takes GET, POST, not PUT"
    assert answer.headers["Allow"] == "GET, POST"
    assert api.ask("HEAD", "/events").status == 405
    assert api.ask("OPTIONS", "/tasks").status == 405


def test_a_page_of_another_site_changes_nothing(api):
    body = b'{"image": "nginx"}'
    refused = api.ask("POST", "/tasks", body, {"Origin": "http://evil.example", "Content-Type": "text/plain"})
    assert "evil.example" in problem(refused, 403)["detail"]
    assert not api.service.creates
    for origin in ("null", "http://[x", "evil", f"http://localhost:{api.port + 1}"):
        assert api.ask("POST", "/nodes/node1/drain", headers={"Origin": origin}).status == 403
    own = f"http://localhost:{api.port}"
    assert api.ask("POST", "/tasks", body, {"Origin": own, "Host": f"localhost:{api.port}"}).status == 201


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[evil", "a:b:c"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(api, host):
    assert host in problem(api.ask("GET", "/tasks", headers={"Host": host}), 403)["detail"]


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "[::1]:9", "LOCALHOST", "web.localhost", "10.1.2.3:80", ""]
)
def test_names_of_this_machine(api, host):
    assert api.ask("GET", "/tasks", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "bytes_", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 9]
)
def test_bytes_that_are_no_http_close_the_connection_and_nothing_else(api, bytes_):
    with contextlib.closing(socket.create_connection((api.host, api.port), PATIENT_S)) as connection:
        connection.sendall(bytes_)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert api.ask("GET", "/healthz").status == 200
