"""The widths of a table's columns. Pure."""

from collections.abc import Sequence

from orion.tui.columns import Column, View

GAP = 2


def shown(view: View, *, wide: bool, chosen: Sequence[str] = (), by: Column | None = None) -> list[Column]:
    """Returns a view's columns; those that a person has chosen, by their titles. Wide mode shows the others behind
    them. The column that rows are sorted by is there in any case: an order that nobody sees looks like none.
    """
    if not chosen:
        return [each for each in view.columns if wide or not each.wide or each is by]
    first = [column for title in chosen if (column := view.column(title)) is not None]
    by = by if by is not view.column(view.by) else None  # nobody has asked for that order
    return first + [each for each in view.columns if each not in first and (wide or each is by)]


def fit(
    columns: Sequence[Column],
    natural: Sequence[int],
    room: int,
    *,
    wide: bool,
    by: Column | None = None,
) -> list[tuple[Column, int]]:
    """Returns the columns that have room, with their widths. In wide mode all are there: one scrolls sideways. The
    last takes what room is left, and has its least also while it has nothing to say: else others would go and come
    with what it says. The one that rows are sorted by stays.
    """
    kept = list(zip(columns, natural, strict=True))
    if wide:
        return _stretched(kept, room)
    if kept:
        last, width = kept[-1]
        kept[-1] = last, max(width, last.least)
    while len(kept) > 1 and _total([_least(*each) for each in kept]) > room:
        spare = max(kept, key=lambda each: _spare(each[0], by))
        if not _spare(spare[0], by):
            break
        kept.remove(spare)
    if _total([width for _, width in kept]) > room:
        kept = _cut(kept, room)
    return _stretched(kept, room)


def _spare(column: Column, by: Column | None) -> int:
    return 0 if column is by else column.spare


def _least(column: Column, natural: int) -> int:
    return min(natural, column.least) if column.least else natural


def _cut(kept: list[tuple[Column, int]], room: int) -> list[tuple[Column, int]]:
    """Takes from the widest that may be cut, until all fit or none may be cut any more."""
    widths = [width for _, width in kept]
    least = [_least(*each) for each in kept]
    over = _total(widths) - room
    while over > 0:
        able = [at for at in range(len(kept)) if widths[at] > least[at]]
        if not able:
            break
        widest = max(able, key=lambda at: widths[at])
        others = [widths[at] for at in able if widths[at] < widths[widest]]
        step = max(1, widths[widest] - max([least[widest], *others]))
        taken = min(step, over, widths[widest] - least[widest])
        widths[widest] -= taken
        over -= taken
    return [(column, width) for (column, _), width in zip(kept, widths, strict=True)]


def _stretched(kept: list[tuple[Column, int]], room: int) -> list[tuple[Column, int]]:
    left = room - _total([width for _, width in kept])
    if left > 0 and kept and kept[-1][0].least:
        column, width = kept[-1]
        kept = [*kept[:-1], (column, width + left)]
    return kept


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
