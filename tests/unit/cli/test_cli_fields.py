"""cli/shared/fields.py: options that are made from declared fields."""

from typing import Annotated

import click
import msgspec
import pytest
from click.testing import CliRunner

from orion.cli.shared import fields
from orion.cli.shared.fields import FIELDS, bad_usage, task_options
from orion.model.api.fields import Option, field, fields_of
from orion.model.api.tasks import TaskRequest
from orion.model.errors import FieldError, Invalid


class Made(msgspec.Struct, frozen=True, rename="camel"):
    read_only: Annotated[bool, field("Change nothing.", option=Option(("--read-only",)))] = False
    most_runs: Annotated[int, field("Runs at a time.", option=Option(("--most-runs",), "N"))] = 4
    hosts: Annotated[list[str], field("Names.", option=Option(("--host",), "NAME", also="As in a.b."))] = []


@pytest.fixture
def asked(monkeypatch):
    """What a command of Made's options asks for, from the words of a command line."""
    made = {each.name: each for each in fields_of(Made)}
    monkeypatch.setattr(fields, "FIELDS", made)
    monkeypatch.setattr(fields, "_DEFAULTS", {info.name: info.default for info in msgspec.structs.fields(Made)})

    @click.command()
    @task_options
    def command(**options):
        click.echo(repr(fields.asked_for(options)))

    def ask(*words):
        return CliRunner().invoke(command, words)

    return ask


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), {}),
        (("--read-only",), {"read_only": True}),
        (("--most-runs", "0"), {"most_runs": 0}),
        (("--host", "a", "--host", "b"), {"hosts": ["a", "b"]}),
        (("--host", ""), {"hosts": [""]}),
    ],
)
def test_what_is_given_is_asked_for_and_nothing_else(asked, words, found):
    assert asked(*words).output == f"{found!r}\n"


def test_a_value_of_another_type_is_bad_usage(asked):
    assert asked("--most-runs", "many").exit_code == 2


def test_help_has_the_description_and_what_is_the_command_line_s(asked):
    text = " ".join(asked("--help").output.split())
    assert "--read-only Change nothing." in text
    assert "--most-runs N Runs at a time. [default: 4]" in text
    assert "--host NAME Names. As in a.b. Repeatable." in text


def test_every_option_of_a_task_has_its_field_s_description(orion):
    text = " ".join(orion("run", "--help")[1].split())
    for each in FIELDS.values():
        assert " ".join(each.description.split()[:4]) in text
        assert all(name in text for name in each.option.names)


@pytest.mark.parametrize(
    ("pointer", "message", "said"),
    [
        ("/memory", "memory is negative", "--memory is negative"),
        ("/nodeSelectors/a b", "'a b' is not a label's name", "--constraint: 'a b' is not a label's name"),
        ("/image", "image is empty", "IMAGE is empty"),
        ("/elsewhere", "elsewhere is unknown", "elsewhere is unknown"),
        ("", "all of it is wrong", "all of it is wrong"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_of_its_option(pointer, message, said):
    assert bad_usage(Invalid([FieldError(pointer, message)])).message == said


def test_names_of_options_are_their_own():
    names = [name for each in FIELDS.values() for name in each.option.names]
    assert len(names) == len(set(names))
    assert set(FIELDS) <= set(TaskRequest.__struct_fields__)
