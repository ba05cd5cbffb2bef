"""The use of tasks, as they go on: of one task, of all of a job, of all on a node."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from orion.client import Client, StatsView
from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster, Stream
from orion.tui.pager import Pager
from orion.tui.screens.pane import Pane
from orion.tui.texts.asking import tasks_of
from orion.tui.texts.use import ORDERS
from orion.tui.texts.use import Use as Readings

MOST_TASKS = 50  # at a time: each is a connection and a thread
DRAW_S = 0.5


class Use(Pane):
    nouns = frozenset({Noun.TASKS})
    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "order", "Order")]

    def __init__(self, cluster: Cluster, noun: Noun, key: str) -> None:
        super().__init__(cluster, f"use {key}")
        self.noun, self.key = noun, key
        self._readings = Readings()
        self._order = ORDERS[0]
        self._streams: dict[str, tuple[str, Stream]] = {}  # by task, with the run that is read
        self._new = True

    def body(self) -> Iterable[Widget]:
        yield Pager(wrap=False)

    def on_mount(self) -> None:
        self.query_one(Pager).focus()
        self.set_interval(DRAW_S, self._draw)

    def on_unmount(self) -> None:
        for _, stream in self._streams.values():
            stream.close()

    def rows_changed(self) -> None:
        """Reads tasks that run, and those anew that have another run."""
        running = [row for row in tasks_of(self.cluster.store, self.noun, self.key) if row.state == "running"]
        for task in running[:MOST_TASKS]:
            read = self._streams.get(task.id)
            if read is None or read[0] != task.allocation:
                if read is not None:
                    read[1].close()
                self._streams[task.id] = (task.allocation, self._follow(task.id))
        more = len(running) - MOST_TASKS
        self.say(f"{more} more tasks are not read: {MOST_TASKS} at a time are" if more > 0 else "")

    def _follow(self, task: str) -> Stream:
        def begin(client: Client) -> Iterator[StatsView]:
            return client.stats(task, follow=True)

        def take(reading: StatsView) -> None:
            self._readings.take(task, reading)
            self._new = True

        def on_end(why: str) -> None:
            self._readings.ended(task, why)
            self._new = True

        return self.cluster.stream(begin, take, on_end)

    def _draw(self) -> None:
        if self._new:
            self._new = False
            self.query_one(Pager).show(self._readings.lines(self._order))
            self.status(f"{len(self._streams)} tasks, by {self._order}")

    def action_order(self) -> None:
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self._new = True
        self._draw()
