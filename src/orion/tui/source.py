"""The cluster as the whole app follows it. `Feed` fulfils it; tests have their own."""

from collections.abc import Callable
from typing import Protocol

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster


class Source(Cluster, Protocol):
    """A cluster as the whole app follows it. `on_news` is told which nouns have changed. `age_s`: how old what is
    shown may be, None before anything was heard. `trouble`: why nothing comes, "" while all is well. `moves`: so
    often another node had to be asked. `cluster`: its id, "" while that is not known.
    """

    on_news: Callable[[set[Noun]], None]
    trouble: str
    moves: int
    cluster: str

    @property
    def age_s(self) -> float | None: ...

    def start(self) -> None:
        """Called on the loop that is to be told."""

    def close(self) -> None: ...

    def look(self) -> None:
        """Goes on with another node where this one says nothing any more. Called about once a second."""

    def move(self) -> None:
        """Goes on with another node where there is one, else asks this one anew."""
