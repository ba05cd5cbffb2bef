"""Other programs' output on a terminal."""

import pytest

from orion.model.errors import Refused
from orion.model.hosts import forwarded_ports
from orion.model.printable import one_line, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is", "as it is"),
        ("\x1b[31mred\x1b[0m\n", "red"),
        ("a\tb", "a       b"),
        ("10 %\r20 %\r\n", "20 %"),
        ("\x1b]0;title\x07bell\x07", "bell?"),
        ("größer 漢\n", "größer 漢"),
    ],
)
def test_a_line_of_output_steers_no_terminal(text, shown):
    assert plain(text) == shown


def test_a_reason_is_one_line():
    assert one_line("it says\n  \x1b[1mno\x1b[0m\x00") == "it says no?"


def test_ports_that_are_forwarded():
    assert [forwarded_ports(text) for text in ("80", "8080:80", "0:80")] == [(80, 80), (8080, 80), (0, 80)]
    for wrong in ("", "a", "80:", ":80", "1:2:3", "70000", "-1:80"):
        with pytest.raises(Refused, match="write LOCAL:PORT"):
            forwarded_ports(wrong)
