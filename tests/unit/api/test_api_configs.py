import contextlib
import threading

import pytest
from fake_service import running

from orion.model.configs import MAX_VALUE_BYTES
from orion.model.folders import Entry, write_folder


@pytest.fixture
def api():
    with running() as api:
        yield api


def test_any_bytes_go_in_and_come_out(api):
    value = bytes(range(256)) + b"\r\n\0"
    put = api.ask("PUT", "/configs/app/db/url", value, {"Content-Type": "application/x-www-form-urlencoded"})
    assert put.status == 200
    assert put.json == {
        "key": "app/db/url",
        "version": 8,
        "size": len(value),
        "createdAt": "2023-11-14T22:13:20Z",
        "changedAt": "2023-11-14T22:13:20Z",
        "folder": False,
    }
    assert put.headers["etag"] == '"8"'
    assert put.headers["x-orion-index"] == "8"
    got = api.ask("GET", "/configs/app/db/url")
    assert (got.status, got.body, got.kind) == (200, value, "application/octet-stream")
    assert got.headers["etag"] == '"8"'
    assert got.headers["x-orion-index"] == "8"
    assert got.headers["x-orion-created-at"] == "2023-11-14T22:13:20.000Z"
    assert got.headers["x-orion-changed-at"] == "2023-11-14T22:13:20.000Z"


def test_an_empty_value_is_a_value(api):
    assert api.ask("PUT", "/configs/a", b"").json["size"] == 0
    assert api.ask("GET", "/configs/a").body == b""


def test_head_tells_version_and_size(api):
    api.ask("PUT", "/configs/a", b"four")
    answer = api.ask("HEAD", "/configs/a")
    assert (answer.headers["etag"], answer.headers["content-length"], answer.body) == ('"8"', "4", b"")


@pytest.mark.parametrize(
    ("query", "headers", "version"),
    [
        ("", {}, None),
        ("?version=8", {}, 8),
        ("?version=0", {}, 0),
        ("", {"If-Match": '"8"'}, 8),
        ("", {"If-Match": "8"}, 8),
        ("", {"If-None-Match": "*"}, 0),
        ("?version=8", {"If-Match": '"8"'}, 8),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_compare_can_be_said_in_several_ways(api, method, query, headers, version):
    api.ask(method, f"/configs/a{query}", b"x" if method == "PUT" else None, headers)
    assert api.service.configs.asked[-1]["command"].if_version == version


@pytest.mark.parametrize(
    ("query", "headers", "words"),
    [
        ("?version=x", {}, "version must be a whole number"),
        ("?version=-1", {}, "version must be a whole number"),
        ("", {"If-Match": "*"}, 'If-Match must be one version in quotes, as in "12"'),
        ("", {"If-Match": 'W/"8"'}, "If-Match must be"),
        ("", {"If-None-Match": '"8"'}, "If-None-Match must be *"),
        ("?version=8", {"If-Match": '"9"'}, "demand different versions"),
        ("?stale=1", {}, "'stale' is not a parameter here"),
    ],
)
def test_a_compare_that_makes_no_sense_is_refused(api, query, headers, words):
    answer = api.ask("PUT", f"/configs/a{query}", b"x", headers)
    assert answer.status == 400
    assert words in answer.json["detail"]
    assert not api.service.configs.asked


def test_a_compare_that_fails_names_the_version(api):
    api.ask("PUT", "/configs/a", b"x")
    answer = api.ask("PUT", "/configs/a?version=3", b"y")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "a is at version 8, not 3" in answer.json["detail"]
    assert api.ask("DELETE", "/configs/a", headers={"If-Match": '"3"'}).status == 409
    assert api.ask("GET", "/configs/a").body == b"x"


def test_a_retry_with_the_same_key_is_answered_as_the_first(api):
    headers = {"Idempotency-Key": "k1"}
    first = api.ask("PUT", "/configs/a?version=0", b"x", headers)
    assert api.ask("PUT", "/configs/a?version=0", b"x", headers).json == first.json


def test_delete_answers_what_was_there(api):
    api.ask("PUT", "/configs/a", b"x")
    answer = api.ask("DELETE", "/configs/a")
    assert (answer.status, answer.json["version"]) == (200, 8)
    assert answer.headers["x-orion-index"] == "9"
    assert api.ask("DELETE", "/configs/a").status == 404


def test_what_is_not_there_still_has_an_index_to_wait_past(api):
    answer = api.ask("GET", "/configs/a")
    assert answer.status == 404
    assert answer.headers["x-orion-index"] == "7"
    assert "there is no config a" in answer.json["detail"]


def test_a_list_has_no_values(api):
    for key in ("b", "a/2", "a/1"):
        api.ask("PUT", f"/configs/{key}", b"secret")
    answer = api.ask("GET", "/configs")
    assert [(c["key"], c["version"], c["size"]) for c in answer.json] == [
        ("a/1", 10, 6),
        ("a/2", 9, 6),
        ("b", 8, 6),
    ]
    assert b"secret" not in answer.body
    assert answer.headers["x-orion-index"] == "10"
    assert [c["key"] for c in api.ask("GET", "/configs?prefix=a/").json] == ["a/1", "a/2"]
    assert [c["key"] for c in api.ask("GET", "/configs?prefix=a%2F2").json] == ["a/2"]


@pytest.mark.parametrize("path", ["/configs/a", "/configs?prefix=a", "/configs"])
def test_watching_is_a_long_poll(api, path):
    api.ask("PUT", "/configs/a", b"x")
    index, sep = api.service.index, "&" if "?" in path else "?"
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(api.ask("GET", f"{path}{sep}index={index}&wait=30")))
    waiter.start()
    api.wait_until(lambda: api.service.reads and api.service.reads[-1].after_index == index)
    api.ask("DELETE", "/configs/a")
    api.change(index + 1)
    waiter.join(60)
    (answer,) = answers
    assert answer.headers["x-orion-index"] == str(index + 1)
    assert answer.status == 404 if "configs/a" in path else answer.json == []


def test_stale_reads(api):
    api.ask("GET", "/configs?stale=1")
    api.ask("GET", "/configs/a?stale=1")
    assert [read.stale for read in api.service.reads] == [True, True]


def test_the_largest_value_is_taken_and_one_byte_more_is_not(api):
    assert api.ask("PUT", "/configs/a", bytes(MAX_VALUE_BYTES)).status == 200
    answer = api.ask("PUT", "/configs/a", bytes(MAX_VALUE_BYTES + 1))
    assert answer.status == 413
    assert "1048576 bytes" in answer.json["detail"]


def test_a_folder_is_looked_into_and_shown_as_one(api):
    tar = write_folder([Entry("a/b", content=b"1")])
    answer = api.ask("PUT", "/configs/site?folder=1", tar + bytes(5_000))
    assert (answer.status, answer.json["folder"], answer.json["size"]) == (200, True, len(tar))
    found = api.ask("GET", "/configs/site")
    assert (found.body, found.headers["content-type"]) == (tar, "application/x-tar")
    assert api.ask("GET", "/configs").json[0]["folder"] is True
    for wrong in (b"", b"x" * 600, tar[:-1024]):
        answer = api.ask("PUT", "/configs/site?folder=1", wrong)
        assert answer.status == 400
        assert "the folder is not taken: " in answer.json["detail"]
    assert api.ask("PUT", "/configs/site", tar).json["folder"] is False, "as any other bytes"


@pytest.mark.parametrize("key", ["a//b", "a%20b", "a/../b", ".", "%C3%A4", "a" * 513, "a%00"])
def test_what_is_no_key_is_refused(api, key):
    with contextlib.closing(api.connect()) as connection:
        connection.putrequest("PUT", f"/configs/{key}", skip_accept_encoding=True)
        connection.putheader("content-length", "1")
        connection.endheaders(b"x")
        response = connection.getresponse()
        assert response.status == 400
        assert b"key must be" in response.read()


@pytest.mark.parametrize("key", ["", "/", "a/", "a//", "/a", "a%0A", "a%0Ab", "a%2F"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_a_key_is_taken_as_it_is(api, method, key):
    """Nothing is cut off its end: that would be another config."""
    api.ask("PUT", "/configs/a", b"x")
    answer = api.ask(method, f"/configs/{key}", b"y" if method == "PUT" else None)
    assert answer.status == 400
    assert answer.json["detail"].startswith("key must be")
    assert api.ask("GET", "/configs/a").body == b"x"


def test_a_prefix_that_no_key_can_have_is_refused(api):
    answer = api.ask("GET", "/configs?prefix=a%20b")
    assert answer.status == 400
    assert "prefix must be the beginning of a key" in answer.json["detail"]


def test_other_methods_are_named(api):
    answer = api.ask("POST", "/configs/a", b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, PUT")
    assert api.ask("PUT", "/configs", b"x").status == 405


def test_openapi_tells_of_them(api):
    paths = api.ask("GET", "/openapi.json").json["paths"]
    put = paths["/configs/{key}"]["put"]
    assert "application/octet-stream" in put["requestBody"]["content"]
    assert {p["name"] for p in put["parameters"]} >= {"key", "version", "If-Match", "If-None-Match"}
    assert "application/octet-stream" in paths["/configs/{key}"]["get"]["responses"]["200"]["content"]
