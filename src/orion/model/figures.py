"""Figures that a node measures of itself, as Prometheus takes them."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class FigureKind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"


class Sample(msgspec.Struct, frozen=True):
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Figure(msgspec.Struct, frozen=True):
    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: FigureKind = FigureKind.GAUGE


def gauge(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, (Sample(value),))


def counter(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, (Sample(value),), FigureKind.COUNTER)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Figure:
    """One sample for each value of `label`."""
    return Figure(name, text, tuple(Sample(value, ((label, of),)) for of, value in sorted(values.items())))
