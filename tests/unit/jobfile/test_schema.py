"""The published JSON Schema of job files takes what the loader takes."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given, settings

from orion.jobfile.load import Source, load
from orion.jobfile.schema import document
from unit.jobfile.render import as_json, body
from unit.model.test_task_codec import REQUESTS

PUBLISHED = Path(__file__).parents[3] / "docs" / "job.schema.json"
SCHEMA = document()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def takes(value):
    """The same for the schema and the loader."""
    try:
        load([Source("a.json", as_json(value).encode())])
    except Exception:  # noqa: BLE001 -- the other test says which it may be
        loaded = False
    else:
        loaded = True
    assert VALIDATOR.is_valid(value) == loaded, value
    return loaded


def test_what_is_published_is_what_is_declared():
    published = json.loads(PUBLISHED.read_text("utf-8"))
    assert published == SCHEMA, "write it anew: orion job schema > docs/job.schema.json"


def test_it_is_a_schema():
    jsonschema_rs.meta.validate(SCHEMA)


@given(request=REQUESTS)
@settings(deadline=None, max_examples=30)
def test_it_takes_any_request(request):
    assert takes(body(request))
    assert takes({"jobs": {request.name: body(request)}, "x-more": [1]})


WEB = {"name": "web", "image": "nginx"}


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (WEB, True),
        ({**WEB, "x-more": {"a": 1}}, True),
        ({**WEB, "memory": "64MB", "disk": "1.5 GiB", "stopGraceSeconds": "1m30s"}, True),
        ({**WEB, "env": {"A": 1, "B": True, "C": 1.5}, "user": 1000}, True),
        ({"jobs": {"web": {"image": "nginx"}}}, True),
        ({"jobs": {"web": {"image": "nginx"}}, "x-more": 1}, True),
        ({**WEB, "healthCheck": {"http": {"port": 80}, "intervalSeconds": "500ms"}}, True),
        ({}, False),
        ([], False),
        ({"name": "web"}, False),
        ({"image": "nginx"}, False),
        ({"name": "Web", "image": "nginx"}, False),
        ({**WEB, "x": 1}, False),
        ({**WEB, "memory": "64 parsecs"}, False),
        ({**WEB, "memory": 5}, False),
        ({**WEB, "memory": None}, False),
        ({**WEB, "cpu": "2"}, False),
        ({**WEB, "env": {"A": None}}, False),
        ({**WEB, "command": "sleep 60"}, False),
        ({**WEB, "restartPolicy": True}, False),
        ({**WEB, "placement": {"strategie": "pack"}}, False),
        ({**WEB, "configs": [{"key": "a"}]}, False),
        ({"jobs": {}}, False),
        ({"jobs": []}, False),
        ({"jobs": {"web": {"image": "nginx", "x": 1}}}, False),
        ({"jobs": {"web": {"image": "nginx", "x-a": 1}}}, False),
        ({"jobs": {"a b": {"image": "nginx"}}}, False),
        ({"jobs": {"web": {"image": "nginx"}}, "image": "nginx"}, False),
    ],
)
def test_it_and_the_loader_agree(value, right):
    assert takes(value) == right
