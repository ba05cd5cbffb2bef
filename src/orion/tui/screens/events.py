"""The cluster's events as they happen: all, or those of some nodes, jobs or tasks."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from orion.client import Client, EventView
from orion.tui.cluster import Cluster, Stream
from orion.tui.later import Later
from orion.tui.pager import Pager
from orion.tui.screens.text_pane import TextPane
from orion.tui.texts.event_lines import event_line

FIRST = "0.0"
TAIL = 1_000
MOST_EVENTS = 5_000
AGAIN_S = 1.0


class Events(TextPane):
    """`subjects`: only what happened to these. A job's name stands for its tasks too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "follow", "Scroll"),
        Binding("t", "timestamps", "Exact times"),
    ]

    def __init__(self, cluster: Cluster, subjects: Sequence[str] = ()) -> None:
        of = f" of {', '.join(subjects)}" if subjects else ""
        super().__init__(cluster, f"events{of}", f"events-{'-'.join(subjects) or 'all'}")
        self.subjects = tuple(subjects)
        self._exact = False
        self._events: deque[EventView | None] = deque(maxlen=MOST_EVENTS)
        self._waiting: list[EventView | None] = []  # that came since the last flush
        self._after = FIRST
        self._stream: Stream | None = None
        self._again: Later | None = None

    def new_pager(self) -> Pager:
        return Pager(most=MOST_EVENTS, following=True)

    def on_mount(self) -> None:
        self.set_interval(0.1, self._flush)
        self._follow()

    def on_unmount(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._again is not None:
            self._again.cancel()

    def _follow(self) -> None:
        after = self._after

        def begin(client: Client) -> Iterator[EventView | None]:
            tail = TAIL if after == FIRST else None
            return client.events(after, follow=True, tail=tail, subjects=self.subjects)

        self._stream = self.cluster.stream(begin, self._take, self._ended)

    def _take(self, event: EventView | None) -> None:
        self._after = event.id if event is not None else self._after
        self._waiting.append(event)
        self.say("")

    def _ended(self, why: str) -> None:
        if self.is_running:
            self.say(f"{why or 'the node that was asked ended it'}; trying again")
            self._again = Later(self, AGAIN_S, self._follow)

    def _flush(self) -> None:
        if self._waiting:
            new, self._waiting = self._waiting, []
            self._events.extend(new)
            self.pager.add(event_line(event, exact=self._exact) for event in new)
            self._say_how()

    def _say_how(self) -> None:
        dropped = self.pager.pages.dropped
        words = (
            "" if self.pager.following else "does not scroll",
            f"{dropped:,} older ones were dropped" if dropped else "",
        )
        self.status(", ".join(filter(None, words)))

    def on_pager_moved(self, event: Pager.Moved) -> None:
        event.stop()
        self._say_how()

    def action_follow(self) -> None:
        self.pager.follow(not self.pager.following)

    def action_timestamps(self) -> None:
        self._exact = not self._exact
        self.pager.show(event_line(event, exact=self._exact) for event in self._events)
