"""Lines of text in parts, each with its look, before they are on a screen. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

# Looks by their names; "" is plain. `job0` to `job7` tell jobs apart.
JOB_LOOKS = 8
LOOKS = frozenset({"", "title", "dim", "good", "warn", "bad", "found", *(f"job{n}" for n in range(JOB_LOOKS))})

_STATES = {
    **dict.fromkeys(("running", "alive", "ready", "healthy", "done", "completed", "leader", "replicate"), "good"),
    **dict.fromkeys(("pending", "waiting", "scheduled", "pulling", "starting"), "warn"),
    **dict.fromkeys(("suspect", "draining", "paused", "moving", "probe", "snapshot"), "warn"),
    **dict.fromkeys(("failed", "lost", "dead", "unhealthy", "rolled-back", "unknown"), "bad"),
    **dict.fromkeys(("stopped", "left", "drained", "superseded", "none"), "dim"),
}


class Part(NamedTuple):
    text: str
    look: str = ""


Line = tuple[Part, ...]


def plain(text: str, look: str = "") -> Line:
    return (Part(text, look),)


def text_of(line: Line) -> str:
    return "".join(part.text for part in line)


def width_of(line: Line) -> int:
    return sum(cell_len(part.text) for part in line)


def state_look(state: str) -> str:
    """Returns how a state of anything looks."""
    return _STATES.get(state, "")


def cut(line: Line, width: int) -> Line:
    """Returns as much of the line as fits, with … at its end where it does not."""
    if width_of(line) <= width:
        return line
    left, kept = max(0, width - 1), list[Part]()
    for part in line:
        size = cell_len(part.text)
        if size > left:
            kept.append(Part(set_cell_size(part.text, left), part.look))
            break
        kept.append(part)
        left -= size
    return (*kept, Part("…", "dim"))[: len(line) + 1] if width > 0 else ()


def wrapped(line: Line, width: int) -> Iterator[Line]:
    """Yields the line in rows, none wider than `width`, between words where it can."""
    if width_of(line) <= width or width < 2:
        yield line
        return
    row, left = list[Part](), width
    for part in line:
        text = part.text
        while text:
            first = text if cell_len(text) <= left else _between_words(_head(text, left), text)
            if first:
                row.append(Part(first, part.look))
                left -= cell_len(first)
                text = text[len(first) :]
            if text:
                yield tuple(row)
                row, left = [], width
    if row:
        yield tuple(row)


def _between_words(first: str, text: str) -> str:
    """Returns the beginning of `text` without the word that does not fit, unless that is half of the row."""
    end = first.rfind(" ") + 1
    return first[:end] if end > len(first) // 2 and text[len(first)] != " " else first


def _head(text: str, width: int) -> str:
    """Returns the beginning of a text that fits; "" where not one character does."""
    first = chop_cells(text[: width + 1], width)[0] if width > 0 else ""
    return first if cell_len(first) <= width else ""


def marked(line: Line, begin: int, end: int) -> Line:
    """Returns the line with its characters from `begin` to `end` as what was found."""
    found, at = list[Part](), 0
    for part in line:
        here = [max(0, min(len(part.text), edge - at)) for edge in (begin, end)]
        pieces = (part.text[: here[0]], part.text[here[0] : here[1]], part.text[here[1] :])
        found += [
            Part(text, look) for text, look in zip(pieces, (part.look, "found", part.look), strict=True) if text
        ]
        at += len(part.text)
    return tuple(found)


def fields(pairs: Iterable[tuple[str, str]], indent: str = "") -> Iterator[Line]:
    """Yields names and values below each other; none for an empty value. What is a state looks like one."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        yield Part(f"{indent}{name:<{width}}  ", "dim"), Part(value, state_look(value))


def table(titles: Iterable[str], rows: Iterable[Iterable[str]], indent: str = "  ") -> Iterator[Line]:
    """Yields a table with its titles; nothing without rows."""
    cells = [tuple(row) for row in rows]
    heads = tuple(titles)
    if not cells:
        return
    widths = [max(cell_len(row[at]) for row in (heads, *cells)) for at in range(len(heads))]
    yield tuple(
        Part(f"{indent if at == 0 else ''}{_padded(head, widths, at)}", "dim") for at, head in enumerate(heads)
    )
    for row in cells:
        yield (Part(indent), *(Part(_padded(cell, widths, at), state_look(cell)) for at, cell in enumerate(row)))


def _padded(cell: str, widths: list[int], at: int) -> str:
    return cell if at == len(widths) - 1 else cell + " " * (widths[at] - cell_len(cell) + 2)
