"""Commands on their way into the log: those that wait for their turn, and those that wait to be applied."""

import asyncio
from collections import deque

import msgspec

from orion.model.errors import OrionError, TooLarge, Unavailable
from orion.raft.messages import Entry
from orion.wire.envelopes import MAX_ENTRY_BYTES

MAX_COMMAND_BYTES = MAX_ENTRY_BYTES
MAX_WAITING_PROPOSALS = 8_192
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_PROPOSALS_PER_TURN = 512
MAX_BYTES_PER_TURN = MAX_COMMAND_BYTES  # of proposals, the last one not counted

REPLACED = "another node leads now; the write was replaced by others"


class Committed(msgspec.Struct, frozen=True):
    """The answer to a proposer: where its command was committed and what `apply` gave back."""

    index: int
    result: object


class Proposal(msgspec.Struct):
    data: bytes
    done: asyncio.Future[Committed]


class _Waiter(msgspec.Struct):
    term: int
    done: asyncio.Future[Committed]
    began_s: float


def require_size(command: bytes) -> None:
    """Raises TooLarge past 4 MiB."""
    if len(command) > MAX_COMMAND_BYTES:
        raise TooLarge(f"a command of {len(command)} bytes is over the limit of {MAX_COMMAND_BYTES}")


class CommitTimes(msgspec.Struct):
    """Proposals of this node that are applied: how many, and the time that they took from the log to there."""

    count: int = 0
    total_s: float = 0.0


class Proposals:
    def __init__(self) -> None:
        self.times = CommitTimes()
        self._queue: deque[Proposal] = deque()
        self._queued_bytes = 0  # of their commands
        self._waiters: dict[int, _Waiter] = {}  # by the index of their entry

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    @property
    def in_log(self) -> int:
        """How many are in the log and not applied yet."""
        return len(self._waiters)

    def add(self, command: bytes) -> asyncio.Future[Committed]:
        """Raises Unavailable when too many wait already."""
        if len(self._queue) >= MAX_WAITING_PROPOSALS or self._queued_bytes >= MAX_WAITING_BYTES:
            raise Unavailable("too many writes are waiting; try again in a moment")
        done: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._queue.append(Proposal(command, done))
        self._queued_bytes += len(command)
        return done

    def next_batch(self) -> list[Proposal]:
        """Takes as many as one turn of the loop proposes, without those whose caller has given up."""
        batch: list[Proposal] = []
        size = 0
        while self._queue and len(batch) < MAX_PROPOSALS_PER_TURN and size < MAX_BYTES_PER_TURN:
            proposal = self._queue.popleft()
            self._queued_bytes -= len(proposal.data)
            if not proposal.done.done():
                batch.append(proposal)
                size += len(proposal.data)
        return batch

    def proposed(self, batch: list[Proposal], *, last_index: int, term: int) -> None:
        """The core has appended them: the last is at `last_index`."""
        now_s = asyncio.get_running_loop().time()
        for index, proposal in enumerate(batch, last_index - len(batch) + 1):
            self._waiters[index] = _Waiter(term, proposal.done, now_s)

    def replaced(self, entries: tuple[Entry, ...]) -> None:
        """Another leader's entries replace what was proposed here from the first of them on: it never was committed
        and never will be. Without this a proposer waits until the log is as long again.
        """
        first = entries[0].index
        for index in [i for i in self._waiters if i >= first]:
            kept = index - first < len(entries) and entries[index - first].term == self._waiters[index].term
            if not kept:
                self._give_up(index, REPLACED)

    def applied(self, entry: Entry, result: object) -> None:
        """Answers who proposed it, if it was proposed here."""
        waiter = self._waiters.pop(entry.index, None)
        if waiter is None:
            return
        if waiter.term == entry.term:
            self.times.count += 1
            self.times.total_s += asyncio.get_running_loop().time() - waiter.began_s
        if waiter.done.done():
            return
        if waiter.term != entry.term:
            waiter.done.set_exception(Unavailable(REPLACED))
        elif isinstance(result, OrionError):
            waiter.done.set_exception(result)
        else:
            waiter.done.set_result(Committed(entry.index, result))

    def log_replaced(self) -> None:
        """A snapshot took the place of the whole log, past its own index too."""
        for waiting in list(self._waiters):
            self._give_up(waiting, "leadership changed; the write may or may not survive")

    def _give_up(self, index: int, words: str) -> None:
        done = self._waiters.pop(index).done
        if not done.done():
            done.set_exception(Unavailable(words))

    def fail(self, error: OrionError) -> None:
        """Ends every wait."""
        for future in [w.done for w in self._waiters.values()] + [p.done for p in self._queue]:
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be left to hear it
        self._waiters.clear()
        self._queue.clear()
        self._queued_bytes = 0
