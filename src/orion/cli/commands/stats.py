"""`orion stats`."""

import sys
from typing import TYPE_CHECKING

import click

from orion.cli.shared.options import asks, command, complete_task, output
from orion.cli.shared.table import Column, shorten_task

if TYPE_CHECKING:
    import queue

    from orion.client import Client, OrionError, StatsView

MOST_TASKS = 100  # at a time: each is a connection and a thread
WAITING_READINGS = 1_000
REDRAWN_S = 1.0
_TO_THE_TOP, _TO_THE_END = "\x1b[H", "\x1b[J"

_COLUMNS = (
    Column("TASK", 20, shorten_task),
    Column("NODE", 8),
    Column("CPU"),
    Column("MEMORY"),
    Column("LIMIT", spare=True),
    Column("RECEIVED", spare=True),
    Column("SENT", spare=True),
    Column("READ", spare=True),
    Column("WRITTEN", spare=True),
    Column("PIDS", spare=True),
)


@command()
@click.argument("task", nargs=-1, shell_complete=complete_task)
@click.option("--no-stream", is_flag=True, help="Once, instead of again and again.")
@output("table", "json")
@asks
def stats(client: "Client", task: tuple[str, ...], no_stream: bool, form: str) -> int:
    """Show what tasks use: processor, memory, network, disks.

    All tasks that run, or those of each TASK, which may be a job's name. CPU is in cores. What is received, sent,
    read and written is counted since the container's start.
    """
    import queue
    import threading

    names = _names(client, task)
    came: queue.Queue[tuple[str, StatsView | OrionError | None]] = queue.Queue(WAITING_READINGS)
    for name in names:
        threading.Thread(target=_read, args=(client.again(), name, not no_stream, came), daemon=True).start()
    return _show_once(names, came, form) if no_stream else _show_on(names, came, form)


def _names(client: "Client", asked: tuple[str, ...]) -> list[str]:
    from orion.cli.shared.jobs import running_of

    if asked:
        found = [each.id for name in asked for each in running_of(client, name)]
    else:
        found = [each.id for each in client.tasks() if each.state == "running"]
    names = list(dict.fromkeys(found))
    if len(names) > MOST_TASKS:
        raise click.UsageError(f"{len(names)} tasks are too many at a time: name at most {MOST_TASKS}")
    return names


def _read(
    client: "Client", name: str, follow: bool, came: "queue.Queue[tuple[str, StatsView | OrionError | None]]"
) -> None:
    from orion.model.errors import OrionError

    end: OrionError | None = None
    with client:
        try:
            for reading in client.stats(name, follow=follow):
                came.put((name, reading))
        except OrionError as error:
            end = error
        finally:
            came.put((name, end))


def _show_once(names: list[str], came: "queue.Queue[tuple[str, StatsView | OrionError | None]]", form: str) -> int:
    from orion.cli.app import say
    from orion.cli.shared import output
    from orion.model.errors import OrionError

    left, code, readings = len(names), 0, {}
    while left:
        name, item = came.get()
        if item is None:
            left -= 1
        elif isinstance(item, OrionError):
            say(f"{name}: {item.detail}")
            left, code = left - 1, 1
        else:
            readings[name] = item
    shown = [readings[name] for name in names if name in readings]
    if form == "json":
        output.print_json(shown)
    else:
        output.print_table(_COLUMNS, map(_row, shown))
    return code


def _show_on(names: list[str], came: "queue.Queue[tuple[str, StatsView | OrionError | None]]", form: str) -> int:
    """Draws the table again whenever something new has come; with json a reading a line. Until all have ended."""
    import time

    import msgspec

    from orion.cli.app import say
    from orion.cli.shared import output
    from orion.model.errors import OrionError

    left, code, drawn_s = set(names), 0, 0.0
    readings: dict[str, StatsView] = {}
    on_terminal = sys.stdout.isatty()
    if on_terminal and form == "table":
        click.clear()
    while left:
        name, item = came.get()
        if item is None or isinstance(item, OrionError):
            left.discard(name)
            readings.pop(name, None)
            if item is not None:
                say(f"{name}: {item.detail}")
                code = 1
            continue
        if form == "json":
            click.echo(msgspec.json.encode(item))
            continue
        readings[name] = item
        if len(readings) < len(left) or time.monotonic() - drawn_s < REDRAWN_S:
            continue
        drawn_s = time.monotonic()
        if on_terminal:
            click.echo(_TO_THE_TOP, nl=False)
        output.print_table(_COLUMNS, [_row(readings[name]) for name in names if name in readings])
        if on_terminal:
            click.echo(_TO_THE_END, nl=False)
    return code


def _row(reading: "StatsView") -> tuple[str, ...]:
    from orion.model.resources import bytes_text

    amounts = (reading.received, reading.sent, reading.read, reading.written)
    return (
        reading.task,
        reading.node_id,
        f"{reading.cpu:.2f}",
        bytes_text(reading.memory),
        bytes_text(reading.memory_limit) if reading.memory_limit else "",
        *map(bytes_text, amounts),
        str(reading.pids),
    )
