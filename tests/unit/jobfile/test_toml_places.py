"""Places in TOML: the scanner finds in every text that tomllib takes what tomllib finds there, where it stands."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.jobfile.toml_places import Array, Leaf, Scan, Table
from unit.jobfile.render import as_toml, toml_key

NASTY = '''
# a comment = [
a.b . "c d".'e"f' = 1 # [x]
"\\u0041 \\"q" = "x # y \\" = z"
lit = 'C:\\x"#'
ml = """
a = 1 " "" \\""" [x]
"""
ml2 = """a"""""
ml3 = \'\'\'
[y] ' ''
b\'\'\'\'\'
six = """"""
dates = [1979-05-27T07:32:00Z, 1979-05-27 07:32:00.5, 1979-05-27,
  07:32:00, # end
]
numbers = [ +1_000, -0.0, 1e5, inf, -nan, 0xff, 0b1, true,false ]
inline = { a = {b.c = [1, {d = "}"}]}, "}" = ']' }
empty = {}
none = [ ]
[t]
x=1
[t."u.v".w]
y = [[], [[1], ["]"]]]
[[list]]
n = 1
[list.inner]
k = "v"
[[list.sub]]
[[list.sub]]
z = 1
[[list]]
[other]
t.x = 1
t.y = 2
'''


def same(value, place):
    """The places are those of the value, part for part."""
    if isinstance(value, dict):
        assert isinstance(place, Table)
        assert set(value) == set(place.keys)
        for key, each in value.items():
            same(each, place.keys[key][1])
    elif isinstance(value, list):
        assert isinstance(place, Array)
        assert len(value) == len(place.items)
        for each, at in zip(value, place.items, strict=True):
            same(each, at)
    else:
        assert isinstance(place, Leaf)
        assert repr(tomllib.loads(f"v = {place.text}")["v"]) == repr(value)


def keys_stand_where_they_are_said_to(text, place):
    if isinstance(place, Table):
        for key, (at, below) in place.keys.items():
            assert text[at : at + 1] in {'"', "'"} or text.startswith(key, at)
            keys_stand_where_they_are_said_to(text, below)
    elif isinstance(place, Array):
        for item in place.items:
            keys_stand_where_they_are_said_to(text, item)
    else:
        assert text.startswith(place.text, place.at)


def check(text):
    scan = Scan(text)
    assert scan.stop is None
    same(tomllib.loads(text), scan.root)
    keys_stand_where_they_are_said_to(text, scan.root)


def test_all_that_toml_has():
    check(NASTY)


@pytest.mark.parametrize("text", ["", "\n", "#", "a=1", "[a]", "[[a]]", " a = 1 ", "\t[ a . b ]\t# c", "a=[1,]#"])
def test_short_texts(text):
    check(text)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)
LEAVES = st.integers(-(2**60), 2**60) | st.booleans() | WORDS | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.booleans())
@settings(deadline=None, max_examples=150)
def test_any_value(value, tables):
    text = as_toml(value, tables=tables)
    assert tomllib.loads(text) == value
    check(text)


STATEMENTS = [line for line in NASTY.split("\n") if line and not line.startswith(("a = 1 ", "[y]", "b'"))]
PIECES = [
    *STATEMENTS,
    "a.b = 2",
    "[a]",
    "[a.b]",
    "[[a]]",
    "[[a.b]]",
    "x = {y = 1}",
    "x.y = 2",
    "[x]",
    "k = 'v'",
    "  ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("\n".join))
@settings(deadline=None, max_examples=400)
def test_any_statements_in_any_order(text):
    try:
        tomllib.loads(text)
    except ValueError:
        Scan(text)  # raises nothing
    else:
        check(text)


@given(st.dictionaries(WORDS, LEAVES, min_size=1, max_size=3))
def test_keys_need_quotes_or_none(value):
    check("\n".join(f"{toml_key(key)} = 1" for key in value))
