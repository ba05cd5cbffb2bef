"""Amounts as people write them: 512m, 1.5GB, 10s, 1h30m."""

import re

# As `docker run -m` reads k, m, g and t: powers of 1024. With a B they are what disk makers count, powers of 1000,
# as Orion itself shows sizes; with iB they are powers of 1024 to the letter.
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(?:([kmgtp])(i?b)?|b)?", re.IGNORECASE)
_POWER = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
SIZE = r"^[0-9]{1,18}(\.[0-9]{1,9})?\s*([kKmMgGtTpP]([iI]?[bB])?|[bB])?$"  # the same for JSON Schema

_PART = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)"
_DURATION = rf"(?:{_PART}){{1,5}}"
DURATION = r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)){1,5}$"
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SECONDS = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


def parse_size(text: str) -> int:
    """Returns a size in bytes. Raises ValueError with a sentence for a person."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size: write it as in 512m, 1.5GB or 100000000")
    number, unit, suffix = match.groups()
    base = 1000 if suffix and suffix.lower() == "b" else 1024
    return round(float(number) * base ** _POWER[unit.lower()]) if unit else round(float(number))


def is_duration(text: str) -> bool:
    return re.fullmatch(_DURATION, text) is not None


def duration_s(text: str) -> float:
    """Returns the seconds of what `is_duration`."""
    return sum(float(number) * _UNIT_S[unit] for number, unit in re.findall(_PART, text))


def parse_seconds(text: str) -> float:
    """Returns a time in seconds, written with units or as a number. Raises ValueError with a sentence for a
    person.
    """
    if is_duration(text):
        return duration_s(text)
    if not re.fullmatch(_SECONDS, text):
        raise ValueError(f"{text!r} is not a time: write it as in 10s, 1m30s, 500ms, or 10 for seconds")
    return float(text)
