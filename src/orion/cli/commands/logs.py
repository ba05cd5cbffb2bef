"""`orion logs`."""

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

import click

from orion.cli.shared.options import asks, command, complete_task, output
from orion.cli.shared.types import Since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orion.cli.shared.followers import Followers, Read
    from orion.client import Client, LogLine, OrionError

MOST_TASKS = 100  # shown at a time: to follow one takes a connection and a thread

_COLORS = ("cyan", "yellow", "green", "magenta", "blue")


@command()
@click.argument("task", nargs=-1, required=True, shell_complete=complete_task)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written, wherever the task runs.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many lines.")
@click.option(
    "--since", type=Since(), default="", metavar="TIME", help="From how long ago (10m, 1h30m), or a time."
)
@click.option("-t", "--timestamps", is_flag=True, help="The time before each line.")
@click.option("-p", "--previous", is_flag=True, help="Of the run before the newest: it ended, or moved.")
@click.option("--stream", type=click.Choice(["all", "stdout", "stderr"]), default="all", help="Which output.")
@output("text", "json")
@asks
def logs(
    client: "Client",
    task: tuple[str, ...],
    follow: bool,
    tail: int | None,
    since: str,
    timestamps: bool,
    previous: bool,
    stream: str,
    form: str,
) -> int:
    """Show what tasks have written.

    A TASK that is a job's name is all of the job's tasks: their lines in the order of their times, each behind its
    task and its node. Following goes on while a task restarts, moves, or its node dies, and says so on standard
    error; tasks that the job gets meanwhile are followed too.
    """
    from orion.cli.shared.output import note

    if follow and previous:
        raise click.UsageError("a previous run has ended: leave out -f or --previous")
    names = tuple(dict.fromkeys(each for name in task for each in _tasks_of(client, name)))
    if len(names) > MOST_TASKS:
        raise click.UsageError(f"{len(names)} tasks are too many at a time: name at most {MOST_TASKS}")

    def read(asked: "Client", name: str) -> "Iterator[LogLine]":
        return asked.logs(
            name, follow=follow, tail=tail, since=since, stream=stream, previous=previous, on_notice=note
        )

    printer = _JsonPrinter() if form == "json" else _TextPrinter(names, timestamps=timestamps)
    jobs = [name for name in task if "/" not in name]
    if follow and (jobs or len(names) > 1):
        return _follow(client, names, jobs, read, printer)
    if len(names) > 1:
        return _show_all(client, names, read, printer)
    for line in read(client, names[0]):
        printer.show(names[0], line)
    return 0


def _follow(client: "Client", names: tuple[str, ...], jobs: list[str], read: "Read", printer: "_Printer") -> int:
    from orion.cli.app import say
    from orion.cli.shared.followers import Followers
    from orion.cli.shared.output import note

    followers = Followers(client, read, MOST_TASKS, note)
    for name in names:
        followers.start(name)
    for job in jobs:
        followers.watch(job)
    failed = _follow_all(followers, printer)
    if len(names) == 1 and names[0] in failed:
        raise failed[names[0]]
    for error in failed.values():  # the others were shown
        say(error.detail)
    return 1 if failed else 0


def _tasks_of(client: "Client", name: str) -> list[str]:
    """Returns the ids of all tasks of a job that has several, else the name, be it there or not."""
    from orion.cli.shared.jobs import tasks_of
    from orion.model.errors import NoMajority, OrionError

    try:
        found = tasks_of(client, name)
    except NoMajority:  # containers outlive a majority
        found = tasks_of(client, name, stale=True)
    except OrionError:
        return [name]
    return [task.id for task in found] if len(found) > 1 else [name]


class _Printer(Protocol):
    def show(self, name: str, line: "LogLine") -> None: ...


class _JsonPrinter:
    """Prints an object a line."""

    def show(self, name: str, line: "LogLine") -> None:
        import msgspec

        from orion.model.api.logs import line_of

        view = line_of(line.at, line.stream, line.text)
        shown = {"task": name, "allocation": line.run, "nodeId": line.node, **msgspec.to_builtins(view)}
        click.echo(msgspec.json.encode(shown))


class _TextPrinter:
    """Prints lines as they are. With several tasks, each line begins with its task's name and its node's."""

    def __init__(self, names: tuple[str, ...], *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._names = dict.fromkeys(names)
        self._width = 0  # of the longest so far
        self._unfinished = ""  # whose line has not ended

    def _prefix(self, name: str, line: "LogLine") -> str:
        if len(self._names) < 2:
            return ""
        text = f"{name}@{line.node}"
        self._width = max(self._width, len(text))
        shown = f"{text:<{self._width}} | "
        if not sys.stdout.isatty():
            return shown
        return click.style(shown, fg=_COLORS[list(self._names).index(name) % len(_COLORS)])

    def show(self, name: str, line: "LogLine") -> None:
        self._names.setdefault(name)
        out = sys.stdout.buffer
        if self._unfinished not in ("", name):
            out.write(b"\n")
            self._unfinished = ""
        if not self._unfinished:
            at = f"{line.at} " if self._timestamps else ""
            out.write(f"{self._prefix(name, line)}{at}".encode())
        out.write(line.text)
        out.flush()
        self._unfinished = "" if line.text.endswith(b"\n") else name


def _show_all(client: "Client", names: tuple[str, ...], read: "Read", printer: _Printer) -> int:
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


def _follow_all(followers: "Followers", printer: _Printer) -> "dict[str, OrionError]":
    """Prints lines as they come, in the order of their times as far as a short wait tells it, until all that is
    followed has ended. Returns what could not be read.
    """
    import queue
    import time

    from orion.client import LogLine
    from orion.client.merge import Reordering

    failed: dict[str, OrionError] = {}
    held: Reordering[tuple[str, LogLine]] = Reordering()
    while followers.left:
        with contextlib.suppress(queue.Empty):
            name, item = followers.came.get(timeout=held.wait_s(time.monotonic()))
            if isinstance(item, LogLine):
                held.add(item.at, (name, item), time.monotonic())
            else:
                followers.ended()
                if item is not None:
                    failed[name] = item
        for line in held.due(time.monotonic()):
            printer.show(*line)
    for line in held.rest():
        printer.show(*line)
    return failed
