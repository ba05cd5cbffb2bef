"""`orion logs`."""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task
from orion.cli.shared.types import Since

if TYPE_CHECKING:
    from orion.client import Client, LogLine

MOST_TASKS = 100  # followed at a time: each is a connection and a thread
WAITING_LINES = 1_000  # read and not printed yet; past this nothing is read

_COLORS = ("cyan", "yellow", "green", "magenta", "blue")


@command()
@click.argument("task", nargs=-1, required=True, shell_complete=complete_task)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written, wherever the task runs.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many lines.")
@click.option(
    "--since", type=Since(), default="", metavar="TIME", help="From how long ago (10m, 1h30m), or a time."
)
@click.option("-t", "--timestamps", is_flag=True, help="The time before each line.")
@click.option("--stream", type=click.Choice(["all", "stdout", "stderr"]), default="all", help="Which output.")
@asks
def logs(
    client: "Client",
    task: tuple[str, ...],
    follow: bool,
    tail: int | None,
    since: str,
    timestamps: bool,
    stream: str,
) -> int:
    """Show what tasks have written.

    Following goes on while a task restarts, moves, or its node dies, and says so on standard error.
    """
    from orion.cli.shared.output import note

    names = tuple(dict.fromkeys(task))
    if len(names) > MOST_TASKS:
        raise click.UsageError(f"{len(names)} tasks are too many at a time: name at most {MOST_TASKS}")

    def read(asked: "Client", name: str) -> "Iterator[LogLine]":
        return asked.logs(name, follow=follow, tail=tail, since=since, stream=stream, on_notice=note)

    printer = _Printer(names, timestamps=timestamps)
    if len(names) == 1:
        for line in read(client, names[0]):
            printer.show(names[0], line)
        return 0
    return (_follow_all if follow else _show_all)(client, names, read, printer)


class _Printer:
    """Prints lines as they are. With several tasks, each line begins with its task's name."""

    def __init__(self, names: tuple[str, ...], *, timestamps: bool) -> None:
        width = max(map(len, names))
        self._timestamps = timestamps
        self._prefixes = {
            name: click.style(f"{name:<{width}} | ", fg=_COLORS[number % len(_COLORS)])
            if sys.stdout.isatty()
            else f"{name:<{width}} | "
            for number, name in enumerate(names)
        }
        if len(names) == 1:
            self._prefixes = {names[0]: ""}
        self._unfinished = ""  # whose line has not ended

    def show(self, name: str, line: "LogLine") -> None:
        out = sys.stdout.buffer
        if self._unfinished not in ("", name):
            out.write(b"\n")
            self._unfinished = ""
        if not self._unfinished:
            at = f"{line.at} " if self._timestamps else ""
            out.write(f"{self._prefixes[name]}{at}".encode())
        out.write(line.text)
        out.flush()
        self._unfinished = "" if line.text.endswith(b"\n") else name


Read = Callable[["Client", str], "Iterator[LogLine]"]


def _show_all(client: "Client", names: tuple[str, ...], read: Read, printer: _Printer) -> int:
    """Prints the output of all tasks, merged by its times."""
    import heapq

    from orion.cli.app import say
    from orion.model.errors import OrionError

    failed = []

    def told(name: str) -> "Iterator[tuple[str, str, LogLine]]":
        try:
            for line in read(client, name):
                yield line.at, name, line
        except OrionError as error:  # the others can still be shown
            say(error.detail)
            failed.append(name)

    for _, name, line in heapq.merge(*map(told, names), key=lambda item: item[:1]):
        printer.show(name, line)
    return 1 if failed else 0


def _follow_all(client: "Client", names: tuple[str, ...], read: Read, printer: _Printer) -> int:
    """Prints lines as they come. Each task's output is read by a thread of its own."""
    import queue
    import threading

    from orion.cli.app import say
    from orion.model.errors import OrionError

    came: queue.Queue[tuple[str, LogLine | OrionError | None]] = queue.Queue(WAITING_LINES)

    def follow(name: str) -> None:
        end: OrionError | None = None
        with client.again() as own:
            try:
                for line in read(own, name):
                    came.put((name, line))
            except OrionError as error:
                end = error
            finally:
                came.put((name, end))

    for name in names:
        threading.Thread(target=follow, args=(name,), daemon=True).start()
    left, code = len(names), 0
    while left:
        name, item = came.get()
        if item is None:
            left -= 1
        elif isinstance(item, OrionError):
            say(item.detail)
            left, code = left - 1, 1
        else:
            printer.show(name, item)
    return code
