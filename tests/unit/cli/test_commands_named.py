"""Commands that sentences name in quotes: each is there, with the options that it is named with."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

import orion
from orion.cli import app
from orion.cli.commands.node import node

SOURCE = Path(orion.__file__).parent
DOCS = SOURCE.parents[1]
QUOTED = re.compile(r"'orion ([^']+)'")
CODE = re.compile(r"`orion ([^`]+)`|^ *(?:\$ )?orion (?!\w+:)([^`#\n]+)", re.MULTILINE)
STANDS_FOR = "\0"  # what is put in when the sentence is made


def _texts(path):
    """All strings of a file, those of several parts as one, with STANDS_FOR for what is put into them."""
    for found in ast.walk(ast.parse(path.read_text())):
        if isinstance(found, ast.JoinedStr):
            yield "".join(each.value if isinstance(each, ast.Constant) else STANDS_FOR for each in found.values)
        elif isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


def _in_code(text):
    for inside, alone in CODE.findall(text):
        yield re.split(r" [|&>]|\$\(", inside or alone)[0].rstrip("\\ ")


def _named():
    for path in sorted(SOURCE.rglob("*.py")):
        for text in _texts(path):
            yield from ((path.relative_to(SOURCE), words) for words in QUOTED.findall(text))
    for path in (*sorted(DOCS.glob("*.md")), *sorted((DOCS / "docs").glob("*.md"))):
        yield from ((path.relative_to(DOCS), words) for words in _in_code(path.read_text()))


NAMED = sorted(set(_named()))


def _fault(words):
    """Returns why there is no such command; "" where there is."""
    given = shlex.split(words.replace("\\", ""))
    if given[0].startswith("-"):
        command: click.Command = node
    elif STANDS_FOR in given[0]:
        return ""
    else:
        command = app.orion
    while given and isinstance(command, click.Group) and not given[0].startswith("-"):
        if given[0] == app.HELP_COMMAND or (STANDS_FOR in given[0]):
            return ""
        found = command.get_command(click.Context(command), given[0])
        if found is None:
            return f"{command.name} has no command {given[0]}"
        command, given = found, given[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | set(app.HELP)
    for word in given:
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            if not command.context_settings.get("allow_interspersed_args", command.allow_interspersed_args):
                break  # what follows may be another program's
            continue
        together = not word.startswith("--") and len(word) > 2  # -it
        for option in (f"-{letter}" for letter in word[1:]) if together else (word.partition("=")[0],):
            if option not in known:
                return f"{command.name} has no option {option}"
    return ""


def test_there_are_many():
    assert len(NAMED) > 100


@pytest.mark.parametrize(("place", "words"), NAMED)
def test_a_command_that_is_named_is_there(place, words):
    assert _fault(words) == "", place
