"""The line in which a command or a filter is typed."""

import pytest

from orion.tui.entry import MOST_KEPT, Came, Entry, no_completion

WORDS = ["tasks", "task", "tables"]


def complete(text):
    return [word for word in WORDS if word.startswith(text) and word != text]


def typed(*keys, kept=None):
    """An entry after these keys; what is no name of a key is typed."""
    entry = Entry(":", [] if kept is None else kept, complete)
    for key in keys:
        for each in key if key not in NAMES else [key]:
            entry.press(each, each if each not in NAMES else None)
    return entry


NAMES = {
    "left",
    "right",
    "home",
    "end",
    "backspace",
    "delete",
    "ctrl-w",
    "ctrl-u",
    "ctrl-k",
    "tab",
    "shift-tab",
    "up",
}
NAMES |= {"down", "enter", "esc", "ctrl-c", "ctrl-a", "ctrl-e", "f5"}


@pytest.mark.parametrize(
    ("keys", "text", "at"),
    [
        (["abc"], "abc", 3),
        (["abc", "left", "left", "X"], "aXbc", 2),
        (["abc", "home", "X", "end", "Y"], "XabcY", 5),
        (["abc", "backspace"], "ab", 2),
        (["abc", "home", "backspace"], "abc", 0),
        (["abc", "home", "delete"], "bc", 0),
        (["abc", "delete"], "abc", 3),
        (["one two  ", "ctrl-w"], "one ", 4),
        (["one", "ctrl-w", "ctrl-w"], "", 0),
        (["abc", "left", "ctrl-u"], "c", 0),
        (["abc", "left", "ctrl-k"], "ab", 2),
        (["abc", "left", "left", "left", "left", "right"], "abc", 1),
        (["abc", "f5"], "abc", 3),
        (["a b"], "a b", 3),
    ],
)
def test_a_line_is_edited(keys, text, at):
    entry = typed(*keys)
    assert (entry.text, entry.at) == (text, at)


def test_keys_come_to_something():
    entry = typed("ab")
    assert entry.press("c", "c") is Came.TYPED
    assert entry.press("left", None) is Came.NOTHING
    assert entry.press("enter", "\r") is Came.GIVEN
    assert entry.press("esc", "\x1b") is Came.DROPPED
    assert entry.press("ctrl-c", "\x03") is Came.DROPPED
    assert typed().press("backspace", "\x7f") is Came.DROPPED


def test_the_likeliest_completion_stands_behind_and_is_taken_at_the_end():
    assert typed("ta").ghost == "sks"
    assert typed("ta", "right").text == "tasks"
    assert typed("ta", "end").text == "tasks"
    assert typed("ta", "left").ghost == ""
    assert typed("ta", "left", "end").text == "ta"
    assert typed().ghost == ""


def test_tab_goes_through_what_the_line_may_become():
    assert typed("ta", "tab").text == "tasks"
    assert typed("ta", "tab", "tab").text == "task"
    assert typed("ta", "tab", "tab", "tab", "tab").text == "tasks"
    assert typed("ta", "shift-tab").text == "tables"
    assert typed("ta", "tab", "shift-tab").text == "tables"
    assert typed("zz", "tab").text == "zz"
    assert typed("ta", "tab", " web").text == "tasks web"


def test_what_was_given_before_comes_again():
    kept = ["one", "two"]
    assert typed("mine", "up", kept=kept).text == "two"
    assert typed("mine", "up", "up", "up", kept=kept).text == "one"
    assert typed("mine", "up", "up", "down", "down", kept=kept).text == "mine"
    assert typed("down", kept=kept).text == ""


def test_what_is_given_is_kept_once():
    kept = ["one"]
    typed("one", "enter", kept=kept)
    typed("  ", "enter", kept=kept)
    typed(" two ", "enter", kept=kept)
    assert kept == ["one", "two"]
    for number in range(MOST_KEPT * 2):
        typed(str(number), "enter", kept=kept)
    assert len(kept) == MOST_KEPT


def test_of_what_is_pasted_the_first_line_is_taken():
    entry = Entry("/", [], no_completion)
    entry.paste("we\x1bb\nrm -rf")
    assert entry.text == "web"


def drawn(entry, width=40):
    return "".join(text for text, _ in entry.spans(width)), [
        text for text, part in entry.spans(width) if part == "here"
    ]


def test_the_cursor_is_seen():
    assert drawn(typed("ta")) == (":tasks", ["s"])
    assert drawn(typed("zz")) == (":zz ", [" "])
    assert drawn(typed("zz", "left")) == (":zz", ["z"])


def test_of_a_long_line_the_part_around_the_cursor_is_seen():
    text, _ = drawn(typed("x" * 30 + "end"), 10)
    assert text == ":" + "x" * 5 + "end" + " "
    text, here = drawn(typed("日本語日本語"), 9)
    assert text == ":日本語 "
    assert here == [" "]
