"""The use of tasks, as they go on: of one task, of all of a job or a node, of several, of every one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from orion.client import Client, StatsView
from orion.model.api.watch import Noun, TaskRow
from orion.model.counts import several
from orion.tui.cluster import Cluster, Stream
from orion.tui.pager import Pager
from orion.tui.screens.pane import Pane
from orion.tui.texts.asking import all_tasks, tasks_now
from orion.tui.texts.use import ORDERS
from orion.tui.texts.use import Use as Readings

MOST_TASKS = 50  # at a time: each is a connection and a thread
DRAW_S = 0.5
TURN = 2  # readings, after which a task makes room for another one: two give rates


class Use(Pane):
    """`keys`: the rows whose tasks are read; none: every task of the cluster. Where more run than are read at a
    time they take turns.
    """

    nouns = frozenset({Noun.TASKS})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "order", "Order"),
        Binding("C", "by('cpu')", "By processor", show=False),
        Binding("M", "by('memory')", "By memory", show=False),
        Binding("N", "by('name')", "By name", show=False),
    ]

    def __init__(self, cluster: Cluster, noun: Noun, keys: Sequence[str]) -> None:
        self._whose = keys[0] if len(keys) == 1 else several(len(keys), noun.removesuffix("s")) if keys else ""
        super().__init__(cluster, f"use {self._whose or 'of all tasks'}")
        self.noun, self.keys = noun, keys
        self._readings = Readings()
        self._order = ORDERS[0]
        self._runs: dict[str, str] = {}  # tasks, with their runs
        self._streams: dict[str, Stream] = {}  # by task
        self._read: dict[str, str] = {}  # tasks that have had their turn, with the runs that were read
        self._counts: dict[str, int] = {}  # readings in this turn
        self._new = True

    def body(self) -> Iterable[Widget]:
        yield Pager(wrap=False)

    def on_mount(self) -> None:
        self.query_one(Pager).focus()
        self.set_interval(DRAW_S, self._tick)

    def on_unmount(self) -> None:
        for stream in self._streams.values():
            stream.close()

    def rows_changed(self) -> None:
        """Reads tasks that run, and those anew that have another run."""
        self._runs = {row.id: row.allocation for row in self._tasks() if row.state == "running"}
        for task in list(self._streams):
            if task in self._runs and self._read[task] != self._runs[task]:
                self._streams.pop(task).close()
        self._forget()
        self._fill()
        self._new = True

    def _forget(self) -> None:
        """Forgets tasks that run no more. Of a few rows their ends are worth showing, of all they are not."""
        for task in self._readings.tasks - self._runs.keys() - self._streams.keys():
            self._read.pop(task, None)
            if not self.keys or not self._readings.has_ended(task):
                self._readings.forget(task)

    def _tasks(self) -> Iterator[TaskRow]:
        store = self.cluster.store
        if not self.keys:
            yield from all_tasks(store)
        for key in self.keys:
            yield from tasks_now(store, self.noun, key)

    @property
    def _crowded(self) -> bool:
        return len(self._runs) > MOST_TASKS

    def _fill(self) -> None:
        """Begins to read tasks that were not read yet, as many as there is room for."""
        for task, run in self._runs.items():
            if len(self._streams) >= MOST_TASKS:
                return
            if self._read.get(task) != run:
                self._read[task] = run
                self._counts[task] = 0
                self._streams[task] = self._follow(task)

    def _follow(self, task: str) -> Stream:
        def begin(client: Client) -> Iterator[StatsView]:
            return client.stats(task, follow=True)

        def take(reading: StatsView) -> None:
            self._readings.take(task, reading)
            self._new = True
            self._counts[task] += 1
            if self._crowded and self._counts[task] >= TURN:
                self._streams.pop(task).close()

        def on_end(why: str) -> None:
            self._streams.pop(task, None)
            self._readings.ended(task, why)
            self._forget()
            self._new = True

        return self.cluster.stream(begin, take, on_end)

    def _tick(self) -> None:
        """Gives the next tasks their turn, and draws."""
        if self._crowded:
            if all(self._read.get(task) == run for task, run in self._runs.items()):
                self._read = {task: self._runs.get(task, "") for task in self._streams}
            self._fill()
        self._draw()

    def _draw(self) -> None:
        if self._new:
            self._new = False
            instead = "nothing has been read yet" if self._runs else f"no task {self._of}runs"
            self.query_one(Pager).show(self._readings.lines(self._order, instead))
            turns = f", {MOST_TASKS} at a time" if self._crowded else ""
            self.status(f"{several(len(self._runs), 'task')}{turns}, by {self._order}")

    @property
    def _of(self) -> str:
        return f"of {self._whose} " if self._whose else ""

    def action_order(self) -> None:
        self.action_by(ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)])

    def action_by(self, order: str) -> None:
        self._order = order
        self._new = True
        self._draw()
