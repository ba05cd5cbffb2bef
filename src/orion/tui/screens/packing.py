"""Each node as a bar that its tasks fill, as they come and go."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widget import Widget

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster
from orion.tui.pager import Pager
from orion.tui.screens.pane import Pane
from orion.tui.texts.packing import RESOURCES, bars, packing_lines


class Packing(Pane):
    nouns = frozenset({Noun.NODES, Noun.TASKS, Noun.ALLOCATIONS})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "resource", "Memory/cpu"),
        Binding("o", "order", "Fullest first"),
    ]

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "packing")
        self._resource = RESOURCES[0]
        self._fullest = False

    def body(self) -> Iterable[Widget]:
        yield Pager(wrap=False)

    def on_mount(self) -> None:
        self.query_one(Pager).focus()

    def rows_changed(self) -> None:
        pager = self.query_one(Pager)
        width = pager.scrollable_content_region.width or self.size.width - 1
        found = bars(self.cluster.store, self._resource, fullest=self._fullest)
        pager.show(packing_lines(found, width))
        self.status(f"{self._resource}{', the fullest first' if self._fullest else ''}")

    def on_resize(self, event: Resize) -> None:
        del event
        self.call_after_refresh(self.rows_changed)

    def action_resource(self) -> None:
        self._resource = RESOURCES[self._resource == RESOURCES[0]]
        self.rows_changed()

    def action_order(self) -> None:
        self._fullest = not self._fullest
        self.rows_changed()
