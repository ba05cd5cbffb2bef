"""Rows that a client follows, over a real server."""

import http.client
import zlib

import msgspec
import pytest

from orion.client.unpacking import unpacked
from orion.client.watch import Current, Rows
from orion.model.api.watch import CurrentMessage, Noun, RowsMessage, TaskRow
from orion.model.errors import Refused
from orion.node.services.watch import WatchItem

ROW = TaskRow(id="web/0", job="web", state="running", image="nginx", version=1)


def item(name, message):
    return WatchItem(name, msgspec.json.encode(message))


def test_rows_come_as_what_they_are(api, client):
    rows = [msgspec.Raw(msgspec.json.encode(ROW))] * 1_000
    api.service.watch_items = [
        item("rows", RowsMessage("tasks", begins=True)),
        item("rows", RowsMessage("tasks", rows, ["web/1"])),
        item("news", CurrentMessage(1)),
        item("current", CurrentMessage(7, "node1")),
    ]
    begins, told, current = client.watch((Noun.TASKS,))
    assert begins == Rows(Noun.TASKS, [], [], begins=True)
    assert told == Rows(Noun.TASKS, [ROW] * 1_000, ["web/1"])
    assert current == Current(7, "node1")
    assert api.service.watched == [(Noun.TASKS,)]


@pytest.mark.parametrize("data", [b"{", b'{"noun":"pods"}', b'{"noun":"tasks","rows":[{"id":5}]}'])
def test_what_is_no_row_is_refused(api, client, data):
    api.service.watch_items = [WatchItem("rows", data)]
    with pytest.raises(Refused, match="not an Orion of this version"):
        list(client.watch())


def test_what_was_squeezed_comes_in_pieces_of_bounded_size():
    packed = zlib.compressobj(9, wbits=31)
    data = packed.compress(bytes(10_000_000)) + packed.flush()
    pieces = list(unpacked(iter([data[:100], data[100:]]), 5_000))
    assert sum(map(len, pieces)) == 10_000_000
    assert max(map(len, pieces)) <= 5_000


def test_what_is_no_gzip_breaks_the_stream():
    with pytest.raises(http.client.HTTPException):
        list(unpacked(iter([b"event: rows"]), 5_000))
