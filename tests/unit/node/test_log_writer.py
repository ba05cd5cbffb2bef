"""What goes into one transaction of the log."""

import asyncio

from msgspec.structs import replace

from orion.node.consensus.log_writer import LogWriter
from orion.raft.interface import Ready
from orion.raft.messages import Entry, EntryKind, HardState, MsgAppResp


class Store:
    """Writes when told to; only what LogWriter calls."""

    def __init__(self):
        self.writes = []

    def persist(self, batch):
        done = asyncio.get_running_loop().create_future()
        self.writes.append((batch, done))
        return done


def ready(seq, term, *indexes):
    entries = tuple(Entry(term, index, EntryKind.NORMAL, b"") for index in indexes)
    return Ready(seq, HardState(term, 0, 0), entries, None, (), (), (), (), None, must_sync=True)


async def written_in(*readies, last_index=0):
    """How they were grouped, all but the first of them having waited for it."""
    store, groups = Store(), []
    writer = LogWriter(store, None, lambda batch: groups.append([r.persist_seq for r in batch]))
    writer.last_index = last_index
    for each in readies:
        await writer.put(each)
    while not writer.idle:
        store.writes[-1][1].set_result(None)
        await asyncio.sleep(0)
    return groups, [[(e.index, e.term) for e in batch.entries] for batch, _ in store.writes]


def test_what_waits_becomes_one_transaction():
    groups, writes = asyncio.run(written_in(ready(1, 1, 1), ready(2, 1, 2), ready(3, 1), ready(4, 1, 3, 4)))
    assert groups == [[1], [2, 3, 4]]
    assert writes == [[(1, 1)], [(2, 1), (3, 1), (4, 1)]]


def test_entries_that_are_to_be_acknowledged_are_written_before_others_replace_them():
    groups, writes = asyncio.run(written_in(ready(1, 1, 1), ready(2, 1, 2, 3), ready(3, 2), ready(4, 2, 3)))
    assert groups == [[1], [2, 3], [4]]
    assert writes == [[(1, 1)], [(2, 1), (3, 1)], [(3, 2)]]


def test_what_an_earlier_transaction_wrote_is_acknowledged_before_others_replace_it():
    """A leader that repeats itself is told again that entries are there, of which nothing is to be written."""
    groups, writes = asyncio.run(written_in(ready(1, 1, 1, 2, 3), ready(2, 1), ready(3, 2, 3)))
    assert groups == [[1], [2], [3]]
    assert writes == [[(1, 1), (2, 1), (3, 1)], [], [(3, 2)]]


def test_what_a_former_process_wrote_too():
    groups, _ = asyncio.run(written_in(ready(1, 1), ready(2, 1), ready(3, 2, 3), ready(4, 2, 4), last_index=3))
    assert groups == [[1], [2], [3, 4]]


def test_the_same_answer_is_not_kept_twice():
    answer = replace(
        ready(2, 1), hard_state=None, messages_after_persist=(MsgAppResp(1, 2, 1, 3),), must_sync=False
    )
    more = replace(answer, persist_seq=3), replace(answer, persist_seq=4)
    other = replace(answer, persist_seq=5, messages_after_persist=(MsgAppResp(1, 2, 1, 4),))
    groups, _ = asyncio.run(written_in(ready(1, 1, 1), answer, *more, other))
    assert groups == [[1], [2, 5]]
