"""model/api: the key that was probably meant, and optional parts of a request."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from orion.model.api.hints import meant
from orion.model.api.tasks import TaskRequest
from orion.model.api.values import fields, members
from orion.model.errors import FieldErrors

KNOWN = [*fields(TaskRequest), "count", "healthCheck", "after", "update"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("enviroment", "env"),
        ("environment", "env"),
        ("memroy", "memory"),
        ("port_bindings", "portBindings"),
        ("port-bindings", "portBindings"),
        ("PORTS", "portBindings"),
        ("replicas", "count"),
        ("healthcheck", "healthCheck"),
        ("mem_limit", "memoryLimit"),
        ("cpus", "cpu"),
        ("depends_on", "after"),
        ("restart", "restartPolicy"),
        ("stop_grace", "stopGraceSeconds"),
        ("stop_grace_period", "stopGraceSeconds"),
        ("cmd", "command"),
        ("imagge", "image"),
        ("zzz", None),
        ("", None),
        ("x" * 1_000_000, None),
    ],
)
def test_the_key_that_was_meant(key, name):
    assert meant(key, set(KNOWN)) == name


def test_a_unit_may_be_left_out():
    assert meant("interval", {"timeoutSeconds", "intervalSeconds"}) == "intervalSeconds"
    assert meant("start_period", {"startPeriodSeconds"}) == "startPeriodSeconds"


def test_what_is_meant_elsewhere_is_said_only_where_it_is_known():
    assert meant("replicas", {"image", "name"}) is None


class Check(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    port: int
    path: str = ""


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    check: Check | None = None
    words: list[str] | None = None
    amount: int | float = 0
    either: Annotated[str, Meta(description="As a path.")] | Check | None = None
    many: Annotated[list[str], Meta(max_length=2)] | bool = False


def wrong(value):
    errors = FieldErrors()
    made = members(value, Body, "", (), errors)
    return {error.pointer: error.message for error in errors.shown} or Body(**made)


def test_an_optional_part_is_null_or_looked_into():
    assert wrong({"check": None, "words": None}) == Body()
    assert wrong({"check": {"port": 80}, "words": ["a"], "amount": 1.5}) == Body(Check(80), ["a"], 1.5)
    assert wrong({"check": {"prt": "x"}}) == {
        "/check/port": "check port is missing",
        "/check/prt": "'prt' is not a field: did you mean port?",
    }
    assert wrong({"either": "a", "many": ["a"]}) == Body(either="a", many=["a"])
    assert wrong({"either": {"port": 1}, "many": True}) == Body(either=Check(1), many=True)
    assert wrong({"either": {"port": "x"}, "many": ["a", "b", "c"]}) == {
        "/either/port": "either port must be a whole number, not text",
        "/many": "many has 3 elements; at most 2 are taken",
    }
    assert wrong({"either": [1], "many": 5}) == {
        "/either": "either must be text or an object, not a list",
        "/many": "many must be a list or true or false, not a number",
    }
    assert wrong({"words": [1], "check": 5, "amount": "x"}) == {
        "/words/0": "words[0] must be text, not a number",
        "/check": "check must be an object, not a number",
        "/amount": "amount must be a whole number or a number, not text",
    }
