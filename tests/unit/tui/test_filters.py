"""Filters of lists."""

import pytest

from orion.tui.filters import read_filter

ROWS = {"web/0": {"disk": "ssd"}, "web-old/1": {"disk": "hdd", "zone": "a"}, "Database/0": {}}
STATES = {"web/0": "running", "web-old/1": "not running", "Database/0": "failed"}


def shown(text):
    wanted = read_filter(text)
    return [name for name, labels in ROWS.items() if wanted.passes((name, STATES[name]), labels)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", list(ROWS)),
        ("web", ["web/0", "web-old/1"]),
        ("WEB", ["web/0", "web-old/1"]),
        ("^web/", ["web/0"]),
        ("^web/0$", ["web/0"]),
        ("^running$", ["web/0"]),
        ("!^running$", ["web-old/1", "Database/0"]),
        ("0 run", ["web/0"]),
        ("^web.*running$", ["web/0", "web-old/1"]),
        ("^$", []),
        ("old|data", ["web-old/1", "Database/0"]),
        ("!web", ["Database/0"]),
        ("! web", ["Database/0"]),
        ("!", list(ROWS)),
        ("-f wo1", ["web-old/1"]),
        ("-f DB0", ["Database/0"]),
        ("-f", list(ROWS)),
        ("-l disk=ssd", ["web/0"]),
        ("-ldisk==ssd", ["web/0"]),
        ("-l disk!=ssd", ["web-old/1", "Database/0"]),
        ("-l disk", ["web/0", "web-old/1"]),
        ("-l !disk", ["Database/0"]),
        ("-l disk=hdd, zone=a", ["web-old/1"]),
        ("-l ", list(ROWS)),
    ],
)
def test_what_a_filter_shows(text, rows):
    assert shown(text) == rows


@pytest.mark.parametrize("text", ["web(", "[", "*", "!(", "a{99999999999}"])
def test_half_a_pattern_is_looked_for_as_it_is_and_says_so(text):
    wanted = read_filter(text)
    assert "no regular expression" in wanted.wrong
    assert wanted.passes((f"x{text.removeprefix('!')}y",), {}) is not text.startswith("!")


def test_what_is_no_label_is_said():
    assert read_filter("-l a=b,=").wrong.startswith("'=' is no label")


def test_an_empty_filter_knows_that_it_is():
    assert read_filter(" ").empty
    assert read_filter("-l").empty
    assert not read_filter("a").empty
