"""GET /watch over a real server."""

import gzip

import pytest

from orion.model.api.watch import Noun
from orion.node.services.watch import WatchItem


def test_messages_are_events_by_their_names(api):
    api.service.watch_items = [WatchItem("rows", b'{"noun":"tasks"}'), WatchItem("current", b'{"index":5}')]
    answer = api.ask("GET", "/watch?nouns=tasks,nodes")
    assert (answer.status, answer.kind) == (200, "text/event-stream")
    head, rows, current, end = answer.body.decode().split("\n\n")
    assert head == "retry: 1000"
    assert rows == 'event: rows\ndata: {"noun":"tasks"}'
    assert current == 'event: current\ndata: {"index":5}'
    assert end == ""
    assert api.service.watched == [(Noun.TASKS, Noun.NODES)]


def test_all_nouns_where_none_is_named(api):
    api.ask("GET", "/watch")
    assert api.service.watched == [tuple(Noun)]


def test_what_is_no_noun_is_refused_by_its_name(api):
    answer = api.ask("GET", "/watch?nouns=tasks,pods")
    assert answer.status == 400
    assert "nouns" in answer.body.decode()
    assert api.service.watched == []


@pytest.mark.parametrize(
    ("accepts", "squeezed"), [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False)]
)
def test_whoever_accepts_gzip_gets_it(api, accepts, squeezed):
    api.service.watch_items = [WatchItem("current", b'{"index":5}')]
    answer = api.ask("GET", "/watch", headers={"Accept-Encoding": accepts})
    assert (answer.headers["Content-Encoding"] == "gzip") is squeezed
    body = gzip.decompress(answer.body) if squeezed else answer.body
    assert body.endswith(b'event: current\ndata: {"index":5}\n\n')
