"""Printing: tables for people, JSON for programs, ages as people say them."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from orion.cli.shared.table import Column, lay_out
from orion.model.times import age

_COLORS = {
    "running": "green",
    "alive": "green",
    "leader": "cyan",
    "pending": "yellow",
    "waiting": "yellow",
    "scheduled": "yellow",
    "pulling": "yellow",
    "starting": "yellow",
    "suspect": "yellow",
    "draining": "yellow",
    "drained": "bright_black",
    "failed": "red",
    "lost": "red",
    "dead": "red",
    "left": "bright_black",
    "stopped": "bright_black",
    "completed": "bright_black",
}


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, wide: bool = False, no_trunc: bool = False
) -> None:
    """Prints rows that have a cell for each column. Columns for wide tables are left out unless `wide`. On a
    terminal no line is longer than the terminal is wide, unless `no_trunc`.
    """
    shown = [at for at, column in enumerate(columns) if wide or not column.wide]
    columns = [columns[at] for at in shown]
    rows = [[row[at] for at in shown] for row in rows]
    fits = sys.stdout.isatty() and not no_trunc
    width = shutil.get_terminal_size().columns if fits else None
    ellipsis = "…" if (sys.stdout.encoding or "").lower().startswith("utf") else "..."
    for number, cells in enumerate(lay_out(columns, rows, width, ellipsis)):
        if number == 0:
            click.echo(click.style("".join(cells), bold=True))
        else:
            click.echo("".join(map(_colored, cells)))


def _colored(cell: str) -> str:
    """Returns the cell in its colour. Click drops the colour when the output is no terminal."""
    color = _COLORS.get(cell.rstrip())
    return click.style(cell, fg=color) if color else cell


def age_text(when: str | None) -> str:
    """Returns the age of an RFC 3339 time: 42s, 5m, 3h, 12d."""
    if not when:
        return ""
    return age((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds())


def note(text: str) -> None:
    """Writes a line for the person at the terminal to standard error."""
    click.echo(text, err=True)
