"""Constraints: what each operator passes, with and without the label, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.placement_rules import (
    Affinity,
    Alongside,
    Constraint,
    Operator,
    PlacementRules,
    read_constraint,
    rules_fault,
    version_of,
)


@pytest.mark.parametrize(
    ("text", "passing", "failing", "missing"),
    [
        ("zone=a", ["a"], ["b", "", "A"], False),
        ("zone==a", ["a"], ["b"], False),
        ("zone = a", ["a"], ["b"], False),
        ("zone=", [""], ["a"], False),
        ("zone!=a", ["b", ""], ["a"], True),
        ("zone in (a, b)", ["a", "b"], ["c", "a, b"], False),
        ("zone in (a)", ["a"], ["b"], False),
        ("zone not in (a,b)", ["c", ""], ["a", "b"], True),
        ("zone exists", ["", "a"], [], False),
        ("zone not  exists", [], ["", "a"], True),
        ("zone~^r[0-9]+$", ["r1", "r12"], ["r", "xr1"], False),
        ("zone =~ eu|us", ["eu-1", "the-us"], ["asia"], False),
        ("zone>=1.2", ["1.2", "1.2.0", "v1.10", "1.2-rc1", "2"], ["1.1.9", "one", ""], False),
        ("zone>1.2", ["1.2.1", "3"], ["1.2", "1.2.0", "1"], False),
        ("zone<=6.8", ["6.8.0-45-generic", "6.8", "5"], ["6.8.1", "6.10"], False),
        ("zone<2", ["1.99", "0"], ["2.0", "2", "x"], False),
    ],
)
def test_what_a_constraint_passes(text, passing, failing, missing):
    constraint = read_constraint(text)
    for value in passing:
        assert constraint.passes({"zone": value}), value
    for value in failing:
        assert not constraint.passes({"zone": value}), value
    assert constraint.passes({}) is missing
    assert constraint.passes({"other": "a"}) is missing
    assert read_constraint(str(constraint)) == constraint


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("node.labels.disk==ssd", "disk"),
        ("engine.labels.disk==ssd", "disk"),
        ("node.id!=n1", "id"),
        ("node.hostname in (a, b)", "hostname"),
        ("node.platform.os==linux", "os"),
        ("node.platform.arch==x86_64", "arch"),
    ],
)
def test_labels_as_docker_calls_them(text, label):
    assert read_constraint(text).label == label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is no constraint: write it as in disk=ssd"),
        ("zone", "'zone' is no constraint"),
        ("zone in a", "is no constraint"),
        ("zone exists (a)", "is no constraint"),
        ("zone in", "is no constraint"),
        ("=a", "is no constraint"),
        ("zone=a b", "'zone=a b': 'a b' is not a label's value"),
        ("zone in (a,,b b)", "'b b' is not a label's value"),
        ("zone>=new", "'new' is no version: write numbers"),
        ("zone~(", "the pattern has a ( without its )"),
        ("zone~(a)\\1", "the pattern has \\1, which is not known here"),
        ("zone in (" + ",".join("a" * 65) + ")", "has 65 values; a constraint can have 64"),
        ("node.role==manager", "no node is a manager here"),
        ("x" * 5_000, "is longer than 4,096 characters"),
    ],
)
def test_what_is_no_constraint_is_refused_with_words(text, words):
    with pytest.raises(ValueError) as caught:
        read_constraint(text)
    assert words in str(caught.value)


@given(st.text("zone =!<>~()in,ot exs1.\n", max_size=40))
def test_any_text_is_a_constraint_or_refused(text):
    try:
        constraint = read_constraint(text)
    except ValueError:
        return
    assert not rules_fault(PlacementRules((constraint,)))
    constraint.passes({"zone": "1.2"})


def test_a_long_label_passes_only_as_one_that_is_not_there():
    assert not read_constraint("zone~a").passes({"zone": "a" * 1_000})
    assert read_constraint("zone!=a").passes({"zone": "a" * 1_000})


@pytest.mark.parametrize(
    "rules",
    [
        PlacementRules((Constraint("a", Operator.EQUAL, ()),)),
        PlacementRules((Constraint("a", Operator.EXISTS, ("b",)),)),
        PlacementRules((Constraint("a", Operator.MATCHES, ("(",)),)),
        PlacementRules((Constraint("a b", Operator.EQUAL, ("c",)),)),
        PlacementRules(tuple([Constraint("a", Operator.EXISTS)] * 65)),
        PlacementRules(affinities=(Affinity(Constraint("a", Operator.EXISTS), 101),)),
        PlacementRules(affinities=(Affinity(Constraint("a", Operator.LESS, ("b",)), 1),)),
        PlacementRules(spread_over="a b"),
        PlacementRules(max_per_node=-1),
        PlacementRules(alongside=Alongside("A B")),
    ],
)
def test_what_no_honest_node_writes_is_a_fault(rules):
    assert rules_fault(rules)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1.2", (1, 2)), ("v1.2.0", (1, 2)), ("6.8.0-45-generic", (6, 8)), ("0", ()), ("", None), ("x1", None)],
)
def test_versions(text, numbers):
    assert version_of(text) == numbers
