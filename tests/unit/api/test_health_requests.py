"""model/api/health_fields.py: what a request may say of checks, hooks and drain times, and how what is wrong is
named.
"""

import msgspec
import pytest

from orion.model.api.codec import job_from_request
from orion.model.api.tasks import TaskRequest
from orion.model.errors import Invalid
from orion.model.health import CheckKind, HealthCheck, HookCommand, TaskHooks, UnhealthyAction
from orion.model.job import DRAIN_MS


def spec(**fields):
    request = msgspec.convert({"image": "nginx", **fields}, TaskRequest)
    return job_from_request(request, "web", 5).task


def wrong(**fields):
    with pytest.raises(Invalid) as caught:
        spec(**fields)
    return {error.pointer: error.message for error in caught.value.errors}


def test_a_check_as_the_contract_writes_it():
    times = {"intervalSeconds": 1, "timeoutSeconds": 1, "retries": 3, "startPeriodSeconds": 5}
    made = spec(healthCheck={"http": {"port": 80, "path": "/"}, **times}).health
    assert made == HealthCheck(
        CheckKind.HTTP, 80, "/", interval_ms=1000, timeout_ms=1000, retries=3, start_period_ms=5000
    )


def test_every_kind_of_check():
    http = {"port": 80, "path": "/up", "headers": {"Host": "web", "A": "1"}, "status": 204}
    assert spec(healthCheck={"http": http}).health == HealthCheck(
        CheckKind.HTTP, 80, "/up", headers=(("A", "1"), ("Host", "web")), status=204
    )
    assert spec(healthCheck={"tcp": {"port": 5432}, "onUnhealthy": "none"}).health == HealthCheck(
        CheckKind.TCP, 5432, action=UnhealthyAction.NONE
    )
    assert spec(healthCheck={"exec": {"command": ["pg_isready"]}}).health == HealthCheck(
        CheckKind.EXEC, command=("pg_isready",)
    )
    assert spec(healthCheck={"docker": {}}).health == HealthCheck(CheckKind.DOCKER)


@pytest.mark.parametrize(
    ("check", "where", "words"),
    [
        ({}, "/healthCheck", "one of http, tcp, exec, docker"),
        ({"tcp": {"port": 1}, "docker": {}}, "/healthCheck", "one of http, tcp, exec, docker"),
        ({"tcp": {"port": 0}}, "/healthCheck/tcp/port", "1 to 65535"),
        ({"http": {"port": 70_000}}, "/healthCheck/http/port", "1 to 65535"),
        ({"http": {"port": 80, "path": "up"}}, "/healthCheck/http/path", "begin it with /"),
        ({"http": {"port": 80, "path": "/a b"}}, "/healthCheck/http/path", "not a request's"),
        ({"http": {"port": 80, "path": "/" * 2000}}, "/healthCheck/http/path", "not a request's"),
        ({"http": {"port": 80, "status": 99}}, "/healthCheck/http/status", "100 to 599"),
        ({"http": {"port": 80, "headers": {"a b": ""}}}, "/healthCheck/http/headers/a b", "header's name"),
        ({"http": {"port": 80, "headers": {"a": "x\r\nb: c"}}}, "/healthCheck/http/headers/a", "can't have"),
        ({"exec": {"command": []}}, "/healthCheck/exec/command", "name a program"),
        ({"exec": {"command": ["", "a"]}}, "/healthCheck/exec/command/0", "name a program"),
        ({"exec": {"command": ["a", "b\0"]}}, "/healthCheck/exec/command/1", "zero byte"),
        ({"docker": {"command": ["a" * 200_000]}}, "/healthCheck/docker/command/0", "longer than Linux"),
        ({"docker": {}, "intervalSeconds": 0}, "/healthCheck/intervalSeconds", "0.1 to 86400 seconds"),
        ({"docker": {}, "timeoutSeconds": 1e9}, "/healthCheck/timeoutSeconds", "0.1 to 3600 seconds"),
        ({"docker": {}, "startPeriodSeconds": -1}, "/healthCheck/startPeriodSeconds", "0 to 86400 seconds"),
        ({"docker": {}, "retries": 0}, "/healthCheck/retries", "1 to 1,000"),
        ({"docker": {}, "onUnhealthy": "stop"}, "/healthCheck/onUnhealthy", "restart, none or replace"),
    ],
)
def test_a_wrong_check_is_named_at_its_place(check, where, words):
    said = wrong(healthCheck=check)
    assert list(said) == [where]
    assert words in said[where]


def test_hooks():
    made = spec(
        hooks={"postStart": [{"command": ["warm"]}], "preStop": [{"command": ["bye", "now"], "timeoutSeconds": 2}]}
    )
    assert made.hooks == TaskHooks((HookCommand(("warm",)),), (HookCommand(("bye", "now"), 2000),))


def test_wrong_hooks_are_named_at_their_place():
    hooks = {"preStop": [{"command": ["a"]}, {"command": [], "timeoutSeconds": 0}]}
    assert set(wrong(hooks=hooks)) == {"/hooks/preStop/1/command", "/hooks/preStop/1/timeoutSeconds"}


def test_the_drain_time_is_two_seconds_with_ports_and_none_without():
    assert spec().drain_time_ms == 0
    assert spec(portBindings={"80": ""}).drain_time_ms == DRAIN_MS
    assert spec(portBindings={"80": ""}, drainSeconds=0).drain_time_ms == 0
    assert spec(drainSeconds=1.5).drain_time_ms == 1500
    assert "0 to 3600" in wrong(drainSeconds=-1)["/drainSeconds"]


def test_the_schema_takes_none_or_one_kind_of_check_and_a_bounded_time():
    """As JSON Schema reads it: `required` says nothing of what is no object, `minimum` of what is no number."""
    properties = msgspec.json.schema(TaskRequest)["$defs"]["TaskRequest"]["properties"]
    branches = properties["healthCheck"]["oneOf"]
    assert [branch["type"] for branch in branches] == ["object"] * len(CheckKind) + ["null"]
    assert [branch.get("required") for branch in branches] == [*([str(kind)] for kind in CheckKind), None]
    drain = properties["drainSeconds"]
    assert (drain["minimum"], drain["maximum"]) == (0, 3600)
