"""Numbers as YAML and JSON write them, bounded so that none takes long to read."""

import math
import re

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_UNBOUNDED = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
MAX_DIGITS = 400


def number(text: str) -> int | float | None:
    """Returns the number that a plain text is (YAML 1.2, core schema), or None. Infinity is NaN here: neither is
    taken anywhere.
    """
    if len(text) > MAX_DIGITS:
        return None
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and not has_leading_zero(text):
        return float(text)
    return math.nan if _UNBOUNDED.fullmatch(text) else None


def has_leading_zero(text: str) -> bool:
    """Returns True for what is 8 in some versions of YAML and 10 in others: 010."""
    return re.fullmatch(r"[-+]?0[0-9]+", text) is not None
