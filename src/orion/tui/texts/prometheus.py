"""Prometheus' text format, read: samples by name and labels."""

import re
from collections.abc import Iterator

Labels = tuple[tuple[str, str], ...]
Figures = dict[str, dict[Labels, float]]

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def read_figures(text: str) -> Figures:
    """Returns the samples. A line that is none is passed over."""
    found: Figures = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        value = _number(match["value"]) if match else None
        if match and value is not None:
            found.setdefault(match["name"], {})[tuple(_labels(match["labels"] or ""))] = value
    return found


def figure(figures: Figures, name: str) -> float | None:
    """Returns the one sample without labels, None where there is none."""
    return figures.get(name, {}).get(())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _labels(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _LABEL.findall(text):
        yield name, re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), value)
