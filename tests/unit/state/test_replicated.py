"""Nothing of what is replicated changes without a level."""

import enum
from typing import Annotated

import msgspec
import pytest

from orion.model import levels
from orion.model.levels import since
from support import replicated
from support.replicated import GOLDEN, faults, found, pinned


def test_what_is_replicated_is_what_the_file_pins():
    old = pinned(GOLDEN.read_text())
    new = found(old.released)
    said = faults(old, new)
    assert not said, "\n".join(said)
    assert str(new) == GOLDEN.read_text(), "what is replicated has grown, with levels: run script/replicated"


class Former(msgspec.Struct, frozen=True, array_like=True, tag=7):
    name: str
    count: int = 0


class Colour(enum.StrEnum):
    RED = "red"


@pytest.fixture
def second(monkeypatch):
    """A second level, which nobody runs yet."""
    monkeypatch.setitem(levels.LEVELS, 2, "colours")
    monkeypatch.setattr(replicated, "LEVEL", 2)


def said(former, now):
    old, new = found(1, (former,)), found(1, (now,))
    renamed = {former.__name__: msgspec.structs.replace(new.kinds[now.__name__], name=former.__name__)}
    rest = {name: kind for name, kind in new.kinds.items() if name != now.__name__}
    return "\n".join(faults(old, msgspec.structs.replace(new, kinds=renamed | rest)))


def test_a_field_without_a_level_is_refused_with_what_to_write(monkeypatch):
    monkeypatch.setattr(replicated, "LEVEL", 1)

    class Now(msgspec.Struct, frozen=True, array_like=True, tag=7):
        name: str
        count: int = 0
        user: str = ""

    text = said(Former, Now)
    assert "Former.user is new and says no level of its own: add level 2 to model/levels.py" in text
    assert "then write user: Annotated[…, since(2)]" in text


def test_a_field_of_the_next_level_is_taken(second):
    class Now(msgspec.Struct, frozen=True, array_like=True, tag=7):
        name: str
        count: int = 0
        user: Annotated[str, since(2)] = ""

    assert not said(Former, Now)


def test_a_new_field_needs_a_default(second):
    class Now(msgspec.Struct, frozen=True, array_like=True, tag=7, kw_only=True):
        name: str
        count: int = 0
        user: Annotated[str, since(2)]

    assert "Former.user has no default" in said(Former, Now)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("count", int, 0), ("name", str, "")], "Former.name was number 1"),
        ([("name", str)], "Former.count was number 2, 'int = 0', and there is nothing now"),
        ([("name", str), ("count", float, 0)], "Former.count was number 2"),
        ([("name", str), ("count", int, 1)], "Former.count was number 2"),
    ],
    ids=["moved", "gone", "another type", "another default"],
)
def test_a_field_that_was_given_out_stays_as_it_is(fields, words):
    now = msgspec.defstruct("Now", fields, frozen=True, array_like=True, tag=7)
    assert words in said(Former, now)


def test_a_tag_stays_as_it_is():
    now = msgspec.defstruct("Now", [("name", str), ("count", int, 0)], array_like=True, tag=8)
    assert "Former was 'array, tag 7' and is 'array, tag 8'" in said(Former, now)


def test_a_record_that_is_gone_is_missed():
    old = found(1, (Former, Colour))
    assert "Former is gone, but former builds write it" in "\n".join(faults(old, found(1, (Colour,))))


def test_a_new_record_of_a_union_needs_a_level():
    old, new = found(1, (Colour,)), found(1, (Former, Colour))
    assert "Former is new and says no level of its own" in "\n".join(faults(old, new))
    assert "write @since(2) above class Former" in "\n".join(faults(old, new))


def test_a_new_member_of_an_enum_needs_a_level(second):
    class Now(enum.StrEnum):
        RED = "red"
        BLUE = "blue"

    assert 'Colour.BLUE is new and says no level of its own: write @since(2, "BLUE") above it' in said(Colour, Now)
    since(2, "BLUE")(Now)
    assert not said(Colour, Now)


def test_the_file_is_read_as_it_is_written():
    whole = found(1)
    assert pinned(str(whole)) == whole
