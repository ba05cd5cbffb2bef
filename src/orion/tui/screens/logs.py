"""Output of tasks as it is written: of one task, of all of a job, of all on a node."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message

from orion.client import Client, LogLine
from orion.client.merge import Reordering
from orion.model.api.watch import AllocationRow, JobRow, Noun, TaskRow
from orion.model.counts import several
from orion.model.job import JobKind
from orion.tui.cluster import Cluster, Stream
from orion.tui.pager import MOST_LINES, Pager
from orion.tui.screens.text_pane import TextPane
from orion.tui.texts.asking import runs_of, tasks_of
from orion.tui.texts.log_lines import MARK, NOTE, LogLines, Written, written

MOST_TASKS = 50  # at a time: each is a connection and a thread
FLUSH_S = 0.1
TAIL = 200
RESTARTS = "its earlier tries are in l (p goes there)"
_STREAMS = ("all", "stdout", "stderr")


class Range(NamedTuple):
    """So much of what was written before: since a time ago, or the last so many lines."""

    words: str
    since: str = ""
    tail: int | None = None


RANGES = {
    "0": Range(f"last {TAIL} lines", tail=TAIL),
    "1": Range("all that is kept"),
    "2": Range("last minute", "1m"),
    "3": Range("last 5 min", "5m"),
    "4": Range("last 15 min", "15m"),
    "5": Range("last 30 min", "30m"),
    "6": Range("last hour", "1h"),
}


class Logs(TextPane):
    """`previous`: of the run before the newest, which has ended. Of an allocation only its own lines are shown, of
    a cron job those of its last run, and of each that begins meanwhile.
    """

    nouns = frozenset({Noun.TASKS})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "follow", "Scroll"),
        Binding("t", "timestamps", "Times"),
        Binding("p", "previous", "Previous"),
        Binding("o", "stream", "Out/err"),
        Binding("m", "mark", "Mark"),
        Binding("ctrl+l", "clear", "Clear", show=False),
        *(Binding(key, f"since('{key}')", each.words, show=False) for key, each in RANGES.items()),
    ]

    class Noted(Message):
        """Something happened to a task. Posted by the thread that reads its output."""

        def __init__(self, begun: int, task: str, text: str) -> None:
            super().__init__()
            self.begun, self.task, self.text = begun, task, text

    def __init__(self, cluster: Cluster, noun: Noun, key: str, *, previous: bool = False) -> None:
        super().__init__(cluster, f"logs {key}", f"logs-{key}")
        self.noun, self.key, self.previous = noun, key, previous
        self.range = RANGES["0"]
        self.stream = "all"
        self.lines = LogLines(MOST_LINES)
        self._run = key if noun is Noun.ALLOCATIONS else ""
        row = cluster.store.tables[noun].get(key)
        self._is_cron = isinstance(row, JobRow) and row.kind == JobKind.CRON
        self._begun = 0  # how often it began anew; what a stream of before tells late counts no more
        self._streams: dict[str, Stream | None] = {}  # by task; None once it has ended
        self._ended: dict[str, tuple[str, str]] = {}  # of these: its run then, and the time
        self._held: Reordering[Written] = Reordering(window_s=0.0)

    def new_pager(self) -> Pager:
        return Pager(most=MOST_LINES, following=True)

    def on_mount(self) -> None:
        self.set_interval(FLUSH_S, self._flush)
        if not self._streams:
            self._follow_new()
        self._say_how()

    def on_unmount(self) -> None:
        self._close()

    def rows_changed(self) -> None:
        if self.noun is not Noun.ALLOCATIONS:
            self._follow_new()
            self._say_how()

    # --- streams ----------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        row = self.cluster.store.tables[self.noun].get(self.key)
        if isinstance(row, AllocationRow):
            return [row.task]
        key = self._job_run if self._is_cron else self.key
        return [task.id for task in tasks_of(self.cluster.store, self.noun, key)] or self._itself()

    @property
    def _job_run(self) -> str:
        """The run of a cron job that is read; "" where there is none."""
        runs = runs_of(self.cluster.store, self.key)
        return next(iter(runs[-2:-1] if self.previous else runs[-1:]), "")

    @property
    def _past(self) -> bool:
        """The run before of each task is read. A cron job's is a job of its own, of which the newest is read."""
        return self.previous and not self._is_cron

    def _itself(self) -> list[str]:
        """A task whose row is gone may still be asked for."""
        return [self.key] if self.noun is Noun.TASKS else []

    def _follow_new(self) -> None:
        names = self._names()
        self.lines.names = self.lines.names or self._is_cron or len(names) > 1
        if len(names) > 1:
            self._held.window_s = 0.5
        new = [name for name in names if name not in self._streams or self._runs_again(name)]
        room = MOST_TASKS - sum(stream is not None for stream in self._streams.values())
        for name in new[:room]:
            self._streams[name] = self._follow(name)
        if new[room:]:
            self.say(f"without {several(len(new[room:]), 'more task')}: {MOST_TASKS} are read at a time")

    def _runs_again(self, task: str) -> bool:
        """Returns True for a task that had ended, and by now has another run."""
        if self._past or self._streams[task] is not None or task not in self._ended:
            return False
        return self._run_of(task) not in ("", self._ended[task][0])

    def _run_of(self, task: str) -> str:
        row = self.cluster.store.tables[Noun.TASKS].get(task)
        return row.allocation if isinstance(row, TaskRow) else ""

    def _follow(self, task: str) -> Stream:
        begun = self._begun
        since, tail = self.range.since, self.range.tail
        if (ended := self._ended.pop(task, None)) is not None:
            since, tail = ended[1], None  # what was before is shown already

        def begin(client: Client) -> Iterator[LogLine]:
            return client.logs(
                task,
                follow=not self._past,
                tail=tail,
                since=since,
                stream=self.stream,
                previous=self._past,
                on_notice=partial(self._note, begun, task),
            )

        def take(line: LogLine) -> None:
            if begun == self._begun and (not self._run or line.run == self._run):
                self._held.add(line.at, written(task, line), time.monotonic())

        def on_end(why: str) -> None:
            if begun == self._begun:
                self._streams[task] = None
                self._ended[task] = (self._run_of(task), datetime.now(UTC).isoformat(timespec="milliseconds"))
                if why:
                    self._add_note(task, f"{why}; {RESTARTS}" if self._past else why)

        return self.cluster.stream(begin, take, on_end)

    def _note(self, begun: int, task: str, text: str) -> None:
        self.post_message(self.Noted(begun, task, text))

    def on_logs_noted(self, event: Noted) -> None:
        if event.begun == self._begun:
            self._add_note(event.task, event.text)

    def _add_note(self, task: str, text: str) -> None:
        self._flush(everything=True)
        self._show([Written("", task, "", NOTE, text)])

    def _flush(self, *, everything: bool = False) -> None:
        lines = self._held.rest() if everything else self._held.due(time.monotonic())
        if found := list(lines):
            self._show(found)

    def _show(self, lines: Iterable[Written]) -> None:
        self.pager.add(self.lines.add(lines))
        self._say_how()

    @property
    def instead(self) -> str:
        """Words for where nothing was written."""
        if self._is_cron and not self._job_run:
            return f"no run of {self.key} is known{' before its last one' if self.previous else ''}"
        name = self.range.words
        when = "" if self.range in (RANGES["0"], RANGES["1"]) else f" in the {name}; 1 shows all that is kept"
        what = "" if self.stream == "all" else f" to {self.stream}"
        return f"nothing was written{what}{when or ' so far'}"

    def _close(self) -> None:
        self._begun += 1
        for stream in self._streams.values():
            if stream is not None:
                stream.close()
        self._streams.clear()
        self._ended.clear()
        list(self._held.rest())

    def _again(self) -> None:
        """Reads anew, as is wished now."""
        self._close()
        self.lines.clear()
        self.pager.clear()
        self._follow_new()
        self._say_how()

    # --- keys -------------------------------------------------------------------------------------------------

    def _say_how(self) -> None:
        words = [
            self.range.words,
            "" if self.stream == "all" else self.stream,
            self._whose(),
            "" if self.pager.following else "does not scroll",
            f"{self.lines.dropped:,} older lines were dropped" if self.lines.dropped else "",
        ]
        self.status(", ".join(filter(None, words)))
        self._say_instead()

    def _whose(self) -> str:
        """Says which run it is of, where that is not plain."""
        before = "the run before" if self.previous else ""
        return f"{before or 'the last run'}, {self._job_run}" if self._is_cron and self._job_run else before

    def on_pager_moved(self, event: Pager.Moved) -> None:
        event.stop()
        self._say_how()

    def action_follow(self) -> None:
        self.pager.follow(not self.pager.following)
        self._say_how()

    def action_timestamps(self) -> None:
        self.lines.timestamps = not self.lines.timestamps
        self.pager.show(self.lines.again())

    def action_previous(self) -> None:
        self.previous = not self.previous
        self._again()

    def action_stream(self) -> None:
        self.stream = _STREAMS[(_STREAMS.index(self.stream) + 1) % len(_STREAMS)]
        self._again()

    def action_since(self, key: str) -> None:
        self.range = RANGES[key]
        self._again()

    def action_mark(self) -> None:
        self._show([Written("", "", "", MARK, f"----- {time.strftime('%H:%M:%S')} -----")])

    def action_clear(self) -> None:
        self.lines.clear()
        self.pager.clear()
        self._say_how()
