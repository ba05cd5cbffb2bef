"""Numbers as small pictures: a line of blocks over time, and a bar."""

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_FULL, _EMPTY = "█", "░"


def spark(values: Sequence[float | None] | Sequence[float], width: int, most: float | None = None) -> str:
    """Returns the last `width` values, right-aligned; a space for what is not known. `most`: what is a full block,
    else the greatest of them.
    """
    shown = list(values[-width:]) if width > 0 else []
    known = [value for value in shown if value is not None]
    top = most if most is not None else max(known, default=0.0)
    return "".join(_block(value, top) for value in shown).rjust(max(0, width))


def _block(value: float | None, top: float) -> str:
    if value is None:
        return " "
    share = max(0.0, min(1.0, value / top)) if top > 0 else 0.0
    return _BLOCKS[round(share * (len(_BLOCKS) - 1))]


def bar(share: float | None, width: int) -> str:
    """Returns a bar of which a share from 0 to 1 is full; an empty one where it is not known."""
    full = round(max(0.0, min(1.0, share or 0.0)) * width)
    return _FULL * full + _EMPTY * (width - full)


def percent(share: float | None) -> str:
    """Returns four characters: ` 45%`; at most 100%, where a bar ends too."""
    return "  - " if share is None else f"{min(100, round(100 * share)):3}%"
