"""Texts cut and padded to so many places of a terminal. Pure."""

from rich.cells import cell_len, set_cell_size


def width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def cell(text: str, width: int, *, right: bool = False, tail: bool = False) -> str:
    """Returns the text in exactly `width` places. What is cut is marked. `tail`: what is behind its last slash
    stays, as a task's number does.
    """
    size = width_of(text)
    if size > width:
        return _cut(text, width, tail=tail)
    space = " " * (width - size)
    return space + text if right else text + space


def _cut(text: str, width: int, *, tail: bool) -> str:
    if width < 2:
        return set_cell_size(text, width)
    head, slash, end = text.rpartition("/")
    end = f"…{slash}{end}"
    if tail and head and width_of(end) < width:
        return set_cell_size(head, width - width_of(end)) + end
    return set_cell_size(text, width - 1) + "…"
