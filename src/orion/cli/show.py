"""Printing: tables for people, JSON for programs, ages and amounts as people say them."""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from orion.model.resources import bytes_text

_COLORS = {
    "running": "green",
    "alive": "green",
    "leader": "cyan",
    "pending": "yellow",
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
_GAP = "   "
_LEAST_CUT = 12  # a last column narrower than this says nothing: let the terminal wrap it


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, cut: bool = True) -> None:
    """Left-aligned columns. On a terminal the last one is cut to its width unless `cut` is false."""
    lines = [list(columns), *([cell or "-" for cell in row] for row in rows)]
    for line in lines[1:]:
        if line[-1] == "-" and columns[-1] == "REASON":
            line[-1] = ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    room = shutil.get_terminal_size().columns - sum(widths[:-1]) - len(_GAP) * (len(columns) - 1)
    for number, line in enumerate(lines):
        if cut and sys.stdout.isatty() and len(line[-1]) > room >= _LEAST_CUT:
            line[-1] = line[-1][: room - 1] + "…"
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        text = _GAP.join([*map(_colored, cells), _colored(line[-1])]).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _colored(cell: str) -> str:
    """Click drops the colour again where the output is no terminal."""
    color = _COLORS.get(cell.rstrip())
    return click.style(cell, fg=color) if color else cell


def age_text(when: str | None) -> str:
    """How long ago an RFC 3339 time was: 42s, 5m, 3h, 12d."""
    if not when:
        return ""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 172_800 else f"{seconds // 86_400}d"


def amount_text(given: float, total: float) -> str:
    """Bytes: 1.5 of 8 GB."""
    given_text, total_text = bytes_text(int(given)), bytes_text(int(total))
    number, _, unit = given_text.partition(" ")
    return f"{number if total_text.endswith(f' {unit}') or not given else given_text} of {total_text}"


def note(text: str) -> None:
    """A line for the person at the terminal, beside the output."""
    click.echo(text, err=True)
