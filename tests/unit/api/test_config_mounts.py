"""`configs` of a task: what is taken, and how each mistake is named."""

import pytest
from fake_service import running

from orion.model.api.codec import job_from_request
from orion.model.api.config_refs import ConfigRefRequest, show_configs
from orion.model.api.tasks import TaskRequest
from orion.model.errors import Invalid
from orion.model.job import ConfigRef


def mounts(*asked, **fields):
    request = TaskRequest(image="nginx", configs=[ConfigRefRequest(**one) for one in asked], **fields)
    return job_from_request(request, "web", 5).task.configs


def wrong(*asked, **fields):
    with pytest.raises(Invalid) as caught:
        mounts(*asked, **fields)
    return {error.pointer: error.message for error in caught.value.errors}


def test_mounts_and_back():
    asked = [
        {"key": "a", "env": "A"},
        {"key": "a", "path": "/etc/a b"},
        {"key": "b/c", "path": "/x", "mode": "600"},
        {"key": "b/c", "path": "/y", "uid": 101, "gid": 2**32 - 2},
    ]
    made = mounts(*asked)
    assert made == (
        ConfigRef("a", env="A"),
        ConfigRef("a", path="/etc/a b", mode=0o644),
        ConfigRef("b/c", path="/x", mode=0o600),
        ConfigRef("b/c", path="/y", mode=0o644, uid=101, gid=2**32 - 2),
    )
    shown = show_configs(made)
    assert mounts(*({f: getattr(one, f) for f in one.__struct_fields__} for one in shown)) == made


@pytest.mark.parametrize(
    ("asked", "where", "words"),
    [
        ({"key": "a//b", "env": "A"}, "/configs/0/key", "is not a key"),
        ({"key": "a"}, "/configs/0", "needs one of env and path"),
        ({"key": "a", "env": "A", "path": "/a"}, "/configs/0", "needs one of env and path"),
        ({"key": "a", "env": "1A"}, "/configs/0/env", "is not a variable's name"),
        ({"key": "a", "env": "A", "mode": "600"}, "/configs/0/mode", "a variable has no mode"),
        ({"key": "a", "env": "A", "uid": 1}, "/configs/0/uid", "a variable has no owner"),
        ({"key": "a", "env": "A", "gid": 1}, "/configs/0/gid", "a variable has no group"),
        ({"key": "a", "path": "/a", "uid": -1}, "/configs/0/uid", "give 0 to 4,294,967,294"),
        ({"key": "a", "path": "/a", "gid": 2**32 - 1}, "/configs/0/gid", "give 0 to 4,294,967,294"),
        ({"key": "a", "path": "/a", "mode": "rw"}, "/configs/0/mode", "three octal digits"),
        ({"key": "a", "path": "/a", "mode": "4755"}, "/configs/0/mode", "three octal digits"),
        ({"key": "a", "path": "etc/a"}, "/configs/0/path", "write it from the root"),
        ({"key": "a", "path": "/"}, "/configs/0/path", "write it from the root"),
        ({"key": "a", "path": "/etc/"}, "/configs/0/path", "write it from the root"),
        ({"key": "a", "path": "/etc/../a"}, "/configs/0/path", "write it from the root"),
        ({"key": "a", "path": "/a\n"}, "/configs/0/path", "write it from the root"),
        ({"key": "a", "path": "/proc/a"}, "/configs/0/path", "the container engine's own"),
        ({"key": "a", "path": "/etc/hosts"}, "/configs/0/path", "the container engine's own"),
    ],
)
def test_mistakes_are_named(asked, where, words):
    errors = wrong(asked)
    assert list(errors) == [where]
    assert words in errors[where]


def test_names_and_paths_are_given_once():
    assert wrong({"key": "a", "env": "A"}, {"key": "b", "env": "A"}) == {
        "/configs/1/env": "variable A is given twice"
    }
    assert wrong({"key": "a", "env": "A"}, env={"A": "1"}) == {"/configs/0/env": "variable A is given twice"}
    assert wrong({"key": "a", "path": "/x"}, {"key": "b", "path": "/x"}) == {
        "/configs/1/path": "file /x is given twice"
    }
    assert (
        "can't be a file and hold"
        in wrong({"key": "a", "path": "/x"}, {"key": "b", "path": "/x/y"})["/configs/0/path"]
    )
    assert "a task can have 64" in wrong(*({"key": "a", "env": f"A{n}"} for n in range(65)))["/configs"]


def test_the_body_is_checked_to_its_depth():
    with running() as api:
        body = '{"image": "nginx", "configs": [{"key": 1, "evn": "A"}, "b", {"env": "C"}]}'
        errors = {e["pointer"]: e["message"] for e in api.ask("POST", "/tasks", body).json["errors"]}
        assert errors == {
            "/configs/0/key": "configs[0] key must be text, not a number",
            "/configs/0/evn": "'evn' is not a field: did you mean env?",
            "/configs/1": 'configs[1] must be an object such as {"key":"b"}, not text',
            "/configs/2/key": "configs[2] key is missing",
        }
        body = '{"image": "nginx", "configs": [{"key": "a", "env": "A"}]}'
        assert api.ask("POST", "/tasks", body).status == 201
        assert api.service.creates[-1]["request"].configs == [ConfigRefRequest("a", env="A")]
