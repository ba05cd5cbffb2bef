"""What others have put into a message of the log writes no lines of its own and moves no cursor."""

import io
import json
import logging
from datetime import datetime

import pytest

from orion.process.loglines import JsonFormatter, LogThrottle, OneLineFormatter, printable


@pytest.fixture
def written():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLineFormatter("%(levelname)-7s %(message)s"))
    log = logging.Logger("test")  # noqa: LOG001  of no tree
    log.addHandler(handler)
    return log, stream


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("node1\nERROR   forged", r"node1\nERROR   forged"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\u202egnp.b", r"a\u202egnp.b"),  # shown from right to left
        ("\u2028\x85\r", r"\u2028\x85\r"),
        ("Größe 10 µs", "Größe 10 µs"),
    ],
)
def test_a_message_is_one_printable_line(written, word, shown):
    log, stream = written
    log.error("%s is here", word)
    assert stream.getvalue() == f"ERROR   {shown} is here\n"
    assert printable(word) == shown


def test_a_traceback_keeps_its_lines(written):
    log, stream = written
    try:
        int("no")
    except ValueError:
        log.exception("a\nb")
    assert stream.getvalue().startswith("ERROR   a\\nb\nTraceback (most recent call last):\n  File")


def test_as_json_a_message_is_one_object_with_its_traceback():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("node1"))
    log = logging.Logger("test")  # noqa: LOG001  of no tree
    log.addHandler(handler)
    log.warning("%s is here", "a\nb")
    try:
        int("no")
    except ValueError:
        log.exception("trouble")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("at")).tzinfo is not None
    assert first == {"level": "warning", "node": "node1", "text": "a\nb is here"}
    assert second["error"].startswith("Traceback (most recent call last):\n  File")


def test_a_mark_is_due_once_in_its_time_and_so_are_not_more_than_so_many():
    throttle = LogThrottle(10.0, 2)
    assert throttle.is_due("a", 0.0)
    assert not throttle.is_due("a", 9.9)
    assert throttle.is_due("b", 5.0)
    assert not throttle.is_due("c", 6.0)
    assert throttle.is_due("c", 10.0)
    assert not throttle.is_due("a", 14.9)
    assert throttle.is_due("a", 15.0)
