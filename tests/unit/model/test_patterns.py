"""Patterns agree with Python's `re`, and none takes long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.patterns import MAX_PATTERN, matches, pattern_error

_LITERALS = st.sampled_from(["a", "b", "c", "1", "-", r"\.", ".", r"\d", r"\w", "[ab]", "[^a]", "[a-c1]", r"[\d-]"])
_PARTS = st.recursive(
    _LITERALS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)
_PATTERNS = st.tuples(st.sampled_from(["", "^"]), _PARTS, st.sampled_from(["", "$"])).map("".join)


@given(_PATTERNS, st.text("abc1-. ", max_size=10))
def test_a_pattern_matches_what_it_matches_in_python(pattern, text):
    if not pattern_error(pattern):
        assert matches(pattern, text) == bool(re.search(pattern, text, re.ASCII | re.DOTALL)), pattern


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^$", "", True),
        ("^$", "a", False),
        ("^r[0-9]+$", "r12", True),
        ("^r[0-9]+$", "r12b", False),
        ("a|^b$", "b", True),
        ("(^a|b$)", "xb", True),
        ("[]a]", "]", True),
        ("x{3}", "axxxb", True),
        ("x{3}", "axxb", False),
        ("^(a|b){2,3}$", "abab", False),
    ],
)
def test_matches(pattern, text, found):
    assert matches(pattern, text) is found


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*$", "a*a*a*a*a*a*a*a*b", "((a{1,8}){1,4}){1,2}c"])
def test_what_hangs_a_backtracking_matcher_comes_back(pattern):
    assert not pattern_error(pattern)
    matches(pattern, "a" * 128 + "!")


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("", "is empty"),
        ("a" * (MAX_PATTERN + 1), f"is longer than {MAX_PATTERN} characters"),
        ("(a", "has a ( without its )"),
        ("a)", "has a ) too many"),
        ("[a", "has a [ without its ]"),
        ("*a", "has a * with nothing to repeat"),
        ("a**", "has * behind a repetition"),
        ("a*?", "has ? behind a repetition"),
        ("(?=a)", "has a (? that is not (?:"),
        (r"(a)\1", r"has \1, which is not known here"),
        ("a{", "has a { that counts nothing: write {2}, {2,} or {2,4}, or \\{ for itself"),
        ("a{65}", "has {65}: at most 64, the smaller first"),
        ("a{3,2}", "has {3,2}: at most 64, the smaller first"),
        ("((a{60}){60})", "is too large: repeat less"),
        ("(" * 40 + "a" + ")" * 40, "has groups more than 16 deep"),
        ("[b-a]", "has a range in [] that is none"),
    ],
)
def test_what_is_no_pattern_is_said(pattern, wrong):
    assert pattern_error(pattern) == wrong


@given(st.text("ab()[]{}|*+?.^$\\-,12", max_size=20))
def test_any_text_is_a_pattern_or_said_to_be_none(pattern):
    if not pattern_error(pattern):
        matches(pattern, "ab12")
