"""Tables for people. On a terminal each row is one line: long cells are shortened, and columns of little news are
left out.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from orion.model.printable import one_line

_GAPS = (3, 2)  # between two columns: the second when the first is too wide
_LEAST = 4  # characters of a shortened cell, when not even the columns' own least widths fit
_SAYS_NOTHING = frozenset({"", "-", "0"})

Shorten = Callable[[str, int, str], str]  # text, width, ellipsis -> at most `width` characters wide


def width_of(text: str) -> int:
    """Returns the number of places that the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_places(character) for character in text)


def _places(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def keep_start(text: str, width: int, ellipsis: str) -> str:
    return f"{_head(text, width - len(ellipsis))}{ellipsis}"


def keep_end(text: str, width: int, ellipsis: str) -> str:
    return f"{ellipsis}{_head(text[::-1], width - len(ellipsis))[::-1]}"


def shorten_image(text: str, width: int, ellipsis: str) -> str:
    """Shortens an image's reference. It keeps the end of its name (`…/team/app:1.27`) and drops the end of its
    digest.
    """
    name, at, _ = text.partition("@")
    if at and width_of(name) + len(at) + len(ellipsis) > width:
        return f"{keep_end(name, width - len(at) - len(ellipsis), ellipsis)}{at}{ellipsis}"
    return keep_start(text, width, ellipsis) if at else keep_end(text, width, ellipsis)


def shorten_task(text: str, width: int, ellipsis: str) -> str:
    """Shortens a task's id, as in `job/12`. It keeps its number."""
    job, slash, index = text.rpartition("/")
    tail = f"{slash}{index}"
    room = width - width_of(tail)
    if not job or room <= len(ellipsis):
        return keep_start(text, width, ellipsis)
    return f"{keep_start(job, room, ellipsis)}{tail}"


def _head(text: str, width: int) -> str:
    taken = 0
    for at, character in enumerate(text):
        taken += _places(character)
        if taken > width:
            return text[:at]
    return text


class Column(NamedTuple):
    """One column. Below the width `least` it is shortened only when nothing else helps; None means never. A `spare`
    column is left out before others are shortened below their `least`. A `wide` one is in wide tables only. `blank`
    stands for an empty cell.
    """

    name: str
    least: int | None = None
    shorten: Shorten = keep_start
    spare: bool = False
    wide: bool = False
    blank: str = "-"


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, ellipsis: str = "…"
) -> list[list[str]]:
    """Returns the cells of the heading and of each row, padded to the width of their column and the gap after it. A
    line takes at most `width` places; None means no limit.
    """
    table = [[column.name for column in columns]]
    table += [[one_line(cell) or column.blank for column, cell in zip(columns, row, strict=True)] for row in rows]
    widths = [max(width_of(line[at]) for line in table) for at in range(len(columns))]
    kept, gap = list(range(len(columns))), _GAPS[0]
    if width is not None and _total(widths, gap) > width:
        kept, widths, gap = _fit(columns, table, widths, width)
    if width is not None:
        kept, widths = _cut(kept, widths, gap, width)
    return [_line(line, columns, kept, widths, gap, ellipsis) for line in table]


def _fit(
    columns: Sequence[Column], table: Sequence[Sequence[str]], natural: Sequence[int], width: int
) -> tuple[list[int], list[int], int]:
    """Returns the columns that are kept, their widths, and the gap between them."""
    kept = list(range(len(columns)))
    silent = [at for at in kept if len(table) > 1 and all(line[at] in _SAYS_NOTHING for line in table[1:])]
    for leaving in (None, *reversed(silent)):
        if leaving is not None:
            kept.remove(leaving)
        widths = [natural[at] for at in kept]
        for gap in _GAPS:
            if _total(widths, gap) <= width:
                return kept, widths, gap
    gap = _GAPS[-1]
    for leaving in (None, *(at for at in kept if columns[at].spare)):
        if leaving is not None:
            kept.remove(leaving)
        widths = [natural[at] for at in kept]
        least = [_least(columns[at], natural[at]) for at in kept]
        if (room := width - _total(least, gap)) >= 0:
            return kept, _grown(least, widths, room, columns, kept), gap
    barely = [
        size if columns[at].least is None else min(size, _LEAST) for at, size in zip(kept, least, strict=True)
    ]
    return kept, _grown(barely, least, width - _total(barely, gap), columns, kept), gap


def _least(column: Column, natural: int) -> int:
    return natural if column.least is None else min(natural, column.least)


def _grown(
    start: Sequence[int], most: Sequence[int], room: int, columns: Sequence[Column], kept: Sequence[int]
) -> list[int]:
    """Returns widths that grow from `start` up to `most` until the room is used, in proportion to the columns'
    `least`.
    """
    widths = list(start)
    for _ in range(room):
        growing = [i for i, size in enumerate(widths) if size < most[i]]
        if not growing:
            break
        widths[min(growing, key=lambda i: widths[i] / (columns[kept[i]].least or 1))] += 1
    return widths


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _cut(kept: list[int], widths: list[int], gap: int, width: int) -> tuple[list[int], list[int]]:
    """Returns the columns that fit into a terminal that is narrower than the least of all of them, and their
    widths.
    """
    while len(kept) > 1 and _total(widths[:-1], gap) + gap + _LEAST > width and _total(widths, gap) > width:
        kept, widths = kept[:-1], widths[:-1]
    return kept, [*widths[:-1], min(widths[-1], width - _total([*widths[:-1], 0], gap))]


def _line(
    line: Sequence[str],
    columns: Sequence[Column],
    kept: Sequence[int],
    widths: Sequence[int],
    gap: int,
    ellipsis: str,
) -> list[str]:
    cells = []
    for at, size in zip(kept, widths, strict=True):
        text = line[at]
        if width_of(text) > size:
            shorten = keep_start if text == columns[at].name else columns[at].shorten
            text = shorten(text, size, ellipsis)
        cells.append(text + " " * (size - width_of(text) + gap))
    cells[-1] = cells[-1].rstrip()
    return cells
