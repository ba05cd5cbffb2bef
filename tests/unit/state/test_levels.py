"""What is newer than a level is named, taken out, and left out of the bytes."""

import enum
import functools
from typing import Annotated

import msgspec
import pytest

from orion.model import levels
from orion.model.levels import since
from orion.state.core import encoding
from orion.state.core.encoding import LeveledEncoder
from orion.state.core.features import Need, need_of, within


@pytest.fixture(autouse=True)
def three_levels(monkeypatch):
    monkeypatch.setitem(levels.LEVELS, 2, "colours")
    monkeypatch.setitem(levels.LEVELS, 3, "sizes")
    monkeypatch.setattr(encoding, "LEVEL", 3)


def made(name, *fields, tag=None):
    return msgspec.defstruct(name, fields, frozen=True, array_like=True, tag=tag)


def newer(kind, level):
    return Annotated[kind, since(level)]


class Shade(enum.StrEnum):
    DARK = "dark"
    PALE = "pale"


@pytest.fixture
def kinds():
    """A record as builds of three levels have it, and one that holds some."""
    first = made("Part", ("name", str), ("count", int, 1))
    second = made("Part", ("name", str), ("count", int, 1), ("colour", newer(str, 2), ""))
    third = made(
        "Part", ("name", str), ("count", int, 1), ("colour", newer(str, 2), ""), ("size", newer(int, 3), 0)
    )
    return {1: first, 2: second, 3: third}


@functools.cache
def holder(part):
    fields = [
        ("one", part),
        ("maybe", part | None, None),
        ("many", tuple[part, ...], ()),
        ("rows", list[tuple[str, part]], msgspec.field(default_factory=list)),
        ("named", dict[str, part], msgspec.field(default_factory=dict)),
    ]
    return made("Holder", *fields, tag=5)


def filled(part):
    return holder(part)(part("a"), part("b", 2), (part("c"), part("d")), [("e", part("f"))], {"g": part("h")})


def test_what_says_nothing_new_is_written_as_a_former_build_writes_it(kinds):
    encoder = LeveledEncoder()
    for level in (1, 2, 3):
        former = msgspec.msgpack.encode(filled(kinds[level]))
        assert encoder.encode(filled(kinds[3]), level) == former
        assert msgspec.msgpack.decode(former, type=holder(kinds[3])) == filled(kinds[3])
    assert encoder.encode_least(filled(kinds[3])) == msgspec.msgpack.encode(filled(kinds[1]))


def test_it_is_written_at_the_least_level_that_loses_nothing(kinds):
    encoder, part = LeveledEncoder(), kinds[3]
    assert encoder.encode_least(part("a", colour="red")) == msgspec.msgpack.encode(kinds[2]("a", colour="red"))
    assert encoder.encode_least(part("a", size=9)) == msgspec.msgpack.encode(part("a", size=9))


def test_it_is_encoded_into_a_buffer_as_by_itself(kinds):
    encoder, buffer = LeveledEncoder(), bytearray(b"head")
    encoder.encode_into(filled(kinds[3]), buffer, 4, 2)
    assert bytes(buffer) == b"head" + msgspec.msgpack.encode(filled(kinds[2]))


def test_what_needs_a_level_is_named_wherever_it_is(kinds):
    part = kinds[3]
    plain = part("x")
    red = part("x", colour="red")
    big = part("x", size=7)
    whole = holder(part)
    assert need_of(whole(plain, plain, (plain,))) == Need(1)
    assert need_of(whole(red)) == Need(2, "Part.colour")
    assert need_of(whole(plain, red)) == Need(2, "Part.colour")
    assert need_of(whole(plain, None, (plain, red, big))) == Need(3, "Part.size")
    assert need_of(whole(plain, None, (), [("a", big)])) == Need(3, "Part.size")
    assert need_of(whole(plain, None, (), [], {"a": red})) == Need(2, "Part.colour")


def test_what_is_newer_is_taken_out_and_nothing_else(kinds):
    part = kinds[3]
    value = holder(part)(part("x", 4, "red", 7), part("y", size=7), (part("z", colour="blue"),))
    assert within(value, 1) == holder(part)(part("x", 4), part("y"), (part("z"),))
    assert within(value, 2) == holder(part)(part("x", 4, "red"), part("y"), (part("z", colour="blue"),))
    assert within(value, 3) == value


def test_a_record_that_is_new_as_a_whole_is_named_and_never_written_below_its_level():
    kind = since(2)(made("Paint", ("colour", str), tag=9))
    assert need_of(kind("red")) == Need(2, "Paint")
    with pytest.raises(ValueError, match="Paint is of level 2 and can't be written at level 1"):
        LeveledEncoder().encode(kind("red"), 1)
    assert LeveledEncoder().encode(kind("red"), 2) == msgspec.msgpack.encode(kind("red"))


def test_a_new_record_as_the_default_of_a_new_field_needs_nothing():
    paint = since(2)(made("Paint", ("colour", str, "white")))
    wall = made("Wall", ("name", str), ("paint", newer(paint, 2), paint()))
    assert need_of(wall("north")) == Need(1)
    assert need_of(wall("north", paint("red"))) == Need(2, "Wall.paint")


def test_a_new_member_of_an_enum_is_named():
    shade = since(2, "PALE")(Shade)
    lamp = made("Lamp", ("shade", shade))
    assert need_of(lamp(Shade.DARK)) == Need(1)
    assert need_of(lamp(Shade.PALE)) == Need(2, "Shade.PALE")
    assert LeveledEncoder().encode(lamp(Shade.DARK), 1) == msgspec.msgpack.encode(lamp(Shade.DARK))


def test_a_union_is_looked_into_by_what_is_there(kinds):
    part = kinds[3]
    either = made("Either", ("what", part | int | str))
    encoder = LeveledEncoder()
    assert need_of(either(7)) == Need(1)
    assert need_of(either(part("x", colour="red"))) == Need(2, "Part.colour")
    assert encoder.encode(either(7), 1) == msgspec.msgpack.encode(either(7))
    assert encoder.encode(either(part("x")), 1) == b"\x91" + msgspec.msgpack.encode(kinds[1]("x"))


def test_a_newer_field_before_an_older_one_is_refused():
    """Former builds would take the one for the other."""
    wrong = made("Wrong", ("colour", newer(str, 2), ""), ("count", int, 1))
    with pytest.raises(TypeError, match="its newer fields have to come last"):
        need_of(wrong())
    with pytest.raises(TypeError, match="its newer fields have to come last"):
        LeveledEncoder().encode(wrong(), 1)


def test_a_level_that_nobody_has_described_is_refused():
    with pytest.raises(ValueError, match="there is no level 9"):
        since(9)


def test_words_that_stand_beside_what_is_new_are_part_of_what_a_level_brought(monkeypatch):
    monkeypatch.setattr(levels, "_WORDS", {})
    since(3, words="shapes")
    since(3, words="edges")
    since(3, words="shapes")
    assert levels.brought(3) == "sizes, edges, shapes"
    assert levels.brought(2) == "colours"


def test_a_level_of_this_build_tells_of_the_history_of_jobs():
    import orion.state.commands  # noqa: F401 -- what is replicated

    assert "the history of jobs" in levels.brought(2)
