"""Committed entries into the state, in slices, so that the loop breathes between."""

import asyncio
from collections import deque
from collections.abc import Callable

from orion.node.consensus.applied import AppliedWatch
from orion.ports.clock import Clock
from orion.raft.messages import Entry, EntryKind
from orion.state.apply import apply
from orion.state.core.step import Applied
from orion.state.tables import State
from orion.state.view import View

MAX_UNAPPLIED_ENTRIES = 16_384  # past this, the core waits
APPLY_SLICE_MS = 5  # apply this long, then let the loop breathe
APPLY_LOOK_BYTES = 4_096  # of commands, between two looks at the clock: one plan may take longer than a slice
APPLY_ENTRY_BYTES = 256  # what an entry by itself counts for


class Applier:
    """Owns the state. `on_conf` is told of a configuration before it counts as applied, `on_applied` of every entry
    with what it came to, `on_slice` at the end of each slice.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        watch: AppliedWatch,
        on_conf: Callable[[Entry], None],
        on_applied: Callable[[Entry, Applied], None],
        on_slice: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._on_conf = on_conf
        self._on_applied = on_applied
        self._on_slice = on_slice
        self._waiting: deque[Entry] = deque()
        self._some_wait = asyncio.Event()
        self._caught_up = asyncio.Event()
        self.state = State()
        self.view = View(self.state)
        self.installs = 0  # how often another state took the place of this one
        self.index = 0
        self.term = 0

    def __len__(self) -> int:
        """How many committed entries are not applied yet."""
        return len(self._waiting)

    def replace(self, state: State, index: int, term: int) -> None:
        """A snapshot's state takes the place of what was applied."""
        self.state, self.view = state, View(state)
        self.installs += 1
        self.move_to(index, term)

    def move_to(self, index: int, term: int) -> None:
        self.index, self.term = index, term
        self._watch.reset(index)

    async def put(self, committed: tuple[Entry, ...]) -> None:
        """Applies the first slice at once; `run` goes on with the rest. Waits while too much is unapplied."""
        while len(self._waiting) >= MAX_UNAPPLIED_ENTRIES:
            self._caught_up.clear()
            await self._caught_up.wait()
        self._waiting.extend(committed)
        if not self._some_wait.is_set():
            self._apply_slice()

    async def run(self) -> None:
        """Goes on, until cancelled, with what one turn of the loop was too short for."""
        while True:
            await self._some_wait.wait()
            await asyncio.sleep(0)
            self._apply_slice()

    def _apply_slice(self) -> None:
        began_ms = self._clock.now_ms()
        unseen_bytes = 0  # applied since the last look at the clock
        while self._waiting:
            entry = self._waiting.popleft()
            self._apply(entry)
            unseen_bytes += APPLY_ENTRY_BYTES + len(entry.data)
            if unseen_bytes >= APPLY_LOOK_BYTES:
                if self._clock.now_ms() - began_ms >= APPLY_SLICE_MS:
                    break
                unseen_bytes = 0
        self._on_slice()
        if self._waiting:
            self._some_wait.set()
        else:
            self._some_wait.clear()
            self._caught_up.set()

    def _apply(self, entry: Entry) -> None:
        if entry.index <= self.index:
            return  # a snapshot that was installed meanwhile covers it
        applied = Applied(None, ())
        if entry.kind == EntryKind.CONF_CHANGE:
            self._on_conf(entry)
        elif entry.data:
            applied = apply(self.state, entry.index, entry.data)
        self.index, self.term = entry.index, entry.term
        self._on_applied(entry, applied)
        self._watch.advance(entry.index, applied.events)
