"""A reader that follows a task whose engine drops the last words of a container for whoever follows."""

import asyncio
from types import SimpleNamespace

import pytest

from orion.model.container import LogEntry, LogQuery
from orion.model.errors import NotFound
from orion.model.logs import LogEnd, LogPiece
from orion.node.services.logs import _Follower

AT = "2026-01-01T00:00:0{}.000000000Z"


def entry(second, words):
    return LogEntry(AT.format(second), stderr=False, text=words)


class Task:
    """As its node knows it. `kept`: its container, with all that it said, is there once it has ended."""

    def __init__(self, *, kept):
        run = SimpleNamespace(
            id="0000000a", node_id="node1", state="running", started_at="then", exit_code=None, reason=""
        )
        self.view = SimpleNamespace(id="web/0", state="running", reason="", created_at="now", allocations=[run])
        self.said = [entry(1, b"hello\n"), entry(2, b"bye\n")]
        self.kept = kept
        self.forward = self

    async def task(self, _):
        return self.view, 1

    async def ask(self, _):
        return self.view, 2

    async def read(self, run, query, reader):
        reader.begin()
        if query.follow:
            yield LogPiece(run.id, run.node_id, reader.unread(self.said[:1]), reader.position)
            self.view.state = run.state = "completed"
        elif not self.kept:
            raise NotFound("it is gone")
        elif unread := reader.unread(self.said):
            yield LogPiece(run.id, run.node_id, unread, reader.position)


@pytest.mark.parametrize("kept", [True, False])
def test_the_last_words_are_asked_for_once_more(kept):
    async def main():
        follower = _Follower(Task(kept=kept), LogQuery(follow=True))
        return [item async for item in follower.follow("web", None)]

    *pieces, end = asyncio.run(main())
    words = [each.text for piece in pieces for each in piece.entries]
    assert words == [b"hello\n", b"bye\n"] if kept else [b"hello\n"]
    assert isinstance(end, LogEnd)
    assert "can't be read" not in end.text
