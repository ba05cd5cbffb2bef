"""Figures for Prometheus, taken from what is there when somebody asks; nothing is counted twice."""

from collections.abc import Callable, Iterable, Sequence

from orion.model.figures import Figure

# Each room gives its own.
Collector = Callable[[], Iterable[Figure]]


class Metrics:
    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> list[Figure]:
        """All figures, by name."""
        figures = [figure for collect in self._collectors for figure in collect()]
        figures.sort(key=lambda figure: figure.name)
        return figures
