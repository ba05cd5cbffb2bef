"""The live line of `orion run --wait`: a spinner, the state, and a bar while the image is pulled."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orion.cli.shared.output import note

if TYPE_CHECKING:
    from orion.client import TaskView


def done_percent(task: "TaskView") -> float | None:
    """How much of its image is loaded; None while nothing is loaded, or nobody knows how large it is."""
    progress = task.progress
    if progress is None or progress.phase != "downloading" or not progress.total_bytes:
        return None
    return min(100.0, 100 * progress.done_bytes / progress.total_bytes)


@contextlib.contextmanager
def progress() -> Iterator[Callable[["TaskView"], None]]:
    """Yields what shows a task's latest state: live on a terminal, else a line for each change."""
    if not sys.stderr.isatty():
        yield _Lines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("pending", total=None, text="")

        def show(task: "TaskView") -> None:
            percent = done_percent(task)
            where = f" on {task.node_id}" if task.node_id else ""
            bars.update(
                bar,
                description=f"{task.id} {task.state}{where}",
                total=None if percent is None else 100,
                completed=percent or 0,
                text=task.reason,
            )

        yield show


class _Lines:
    def __init__(self) -> None:
        self._last = ("", "")

    def show(self, task: "TaskView") -> None:
        where = f" on {task.node_id}" if task.node_id else ""
        # A pull's amounts change all the time: its state is news, its bytes are not.
        why = f": {task.reason}" if task.reason and done_percent(task) is None else ""
        if (task.state, why) != self._last:
            self._last = (task.state, why)
            note(f"{task.id} is {task.state}{where}{why}")
