"""The use of tasks: the last reading of each, the difference to the one before, and processor over time."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime

from orion.client import StatsView
from orion.model.resources import bytes_text
from orion.tui.lines import Line, Part, plain
from orion.tui.texts.asking import task_order
from orion.tui.texts.sparks import percent, spark

ORDERS = ("cpu", "memory", "name")
HIGH = 0.9  # of its memory, a task is close to its end
_MOST = 60  # readings that are remembered
_SPARK = 12
_LITTLE = 0.05  # cores: less does not fill a block
_TITLES = ("CPU", "MEMORY", "", "RECEIVED", "SENT", "READ", "WRITTEN", "PIDS")


class Use:
    def __init__(self) -> None:
        self._last: dict[str, StatsView] = {}
        self._before: dict[str, StatsView] = {}
        self._cpu: dict[str, deque[float]] = {}
        self._ended: dict[str, str] = {}  # and why

    def take(self, task: str, reading: StatsView) -> None:
        before = self._last.get(task)
        if before is not None and before.allocation == reading.allocation:
            self._before[task] = before
        else:
            self._before.pop(task, None)
        self._last[task] = reading
        self._ended.pop(task, None)
        self._cpu.setdefault(task, deque(maxlen=_MOST)).append(reading.cpu)

    def ended(self, task: str, why: str) -> None:
        self._ended[task] = why or "its container has ended"

    @property
    def tasks(self) -> set[str]:
        """Those of which anything is known."""
        return {*self._last, *self._ended}

    def has_ended(self, task: str) -> bool:
        return task in self._ended

    def forget(self, task: str) -> None:
        for kept in (self._last, self._before, self._cpu, self._ended):
            kept.pop(task, None)

    def lines(self, order: str, instead: str = "nothing has been read yet") -> Iterator[Line]:
        """`instead`: words for where there is nothing."""
        rows = [(task, self._cells(task, reading)) for task, reading in self._sorted(order)]
        if not rows and not self._ended:
            yield plain(instead, "dim")
            return
        widths = [max(map(len, column)) for column in zip(_TITLES, *(cells for _, cells in rows), strict=True)]
        names = max((len(task) for task, _ in rows), default=4)
        heads = "  ".join(f"{title:>{width}}" for title, width in zip(_TITLES, widths, strict=True))
        yield plain(f"{'TASK':<{names}}  {'':<{_SPARK}}  {heads}", "dim")
        for task, cells in rows:
            told = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
            full, series = self._share(self._last[task]), list(self._cpu[task])
            look = "bad" if full is not None and full >= HIGH else ""
            yield (
                Part(f"{task:<{names}}  ", "dim" if task in self._ended else ""),
                Part(spark(series, _SPARK, max(_LITTLE, *series)), "good"),
                Part(f"  {told[0]}  "),
                Part(f"{told[1]}  {told[2]}", look),
                Part("  " + "  ".join(told[3:])),
            )
        for task, why in sorted(self._ended.items(), key=lambda each: task_order(each[0])):
            yield Part(f"{task}: ", "dim"), Part(why, "warn")

    def _sorted(self, order: str) -> list[tuple[str, StatsView]]:
        def key(each: tuple[str, StatsView]) -> tuple[float, tuple[str, int]]:
            task, reading = each
            weight = {"cpu": reading.cpu, "memory": float(reading.memory)}.get(order, 0.0)
            return -weight, task_order(task)

        return sorted(self._last.items(), key=key)

    def _cells(self, task: str, now: StatsView) -> tuple[str, ...]:
        before = self._before.get(task)
        names = ("received", "sent", "read", "written")
        rates = (_rate(before, now, name) for name in names)
        full = percent(self._share(now)).strip() if now.memory_limit else ""
        return (f"{now.cpu:.2f}", bytes_text(now.memory), full, *rates, str(now.pids))

    @staticmethod
    def _share(reading: StatsView) -> float | None:
        return reading.memory / reading.memory_limit if reading.memory_limit else None


def _rate(before: StatsView | None, now: StatsView, name: str) -> str:
    """Returns bytes a second between two readings of one container; "" where there is but one."""
    if before is None:
        return ""
    seconds = (datetime.fromisoformat(now.at) - datetime.fromisoformat(before.at)).total_seconds()
    if seconds <= 0:
        return ""
    return f"{bytes_text(max(0, round((getattr(now, name) - getattr(before, name)) / seconds)))}/s"
