"""Which results of a health check are kept."""

import pytest

from orion.model.health import CheckResult
from orion.reconcile.check_history import KEPT, KEPT_LAST, with_results


def results(text, start=0):
    """A letter each: + for a success."""
    return tuple(CheckResult(start + at, letter == "+", 1) for at, letter in enumerate(text))


def kept(text):
    """Returns their places, one result having come after the other."""
    history = ()
    for each in results(text):
        history = with_results(history, (each,))
    return [each.at_ms for each in history]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("++++++++++", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("+" * 100, [0, *range(91, 100)]),
        ("+" * 100 + "-" + "+" * 100, [0, 100, 101, *range(194, 201)]),
        ("-" * 100, [0, *range(91, 100)]),
        ("+" * 50 + "---" + "+" * 50, [0, 50, 51, 52, 53, *range(98, 103)]),
        ("+-" * 50, [*range(90, 100)]),
    ],
)
def test_changes_stay_the_longest_then_failures_and_the_last_ones_always(text, places):
    assert kept(text) == places


def test_a_history_is_bounded_and_has_the_last_ones_whatever_comes():
    for number in range(2**14):
        text = f"{number:014b}".replace("0", "+").replace("1", "-")
        found = kept(text)
        assert len(found) == KEPT
        assert found == sorted(found)
        assert found[-KEPT_LAST:] == list(range(14 - KEPT_LAST, 14))


def test_what_is_known_is_not_added_again():
    """An engine shows its last ones at each look."""
    log = results("+-+-+-+-+-+-+-+-+-")
    history = ()
    for at in range(len(log)):
        for _ in range(2):
            history = with_results(history, log[max(0, at - KEPT_LAST + 1) : at + 1])
    assert history == log[-KEPT:]


def test_output_is_one_line_with_a_limit():
    (found,) = with_results((), (CheckResult(1, False, 5, "oh\n  no " * 1_000),))
    assert found.output == ("oh no " * 1_000)[:200]
    assert with_results((found,), (CheckResult(1, False, 5, "oh\n  no " * 1_000),)) == (found,)
