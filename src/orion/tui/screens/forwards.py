"""Ports that are forwarded to this machine now."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from orion.client.forwarding import Forwarding
from orion.tui.actions.forwards import Forwards as Running
from orion.tui.cluster import Cluster
from orion.tui.lines import Line, Part
from orion.tui.picker import Picker
from orion.tui.screens.pane import Pane


class Forwards(Pane):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+d", "end", "End it")]

    def __init__(self, cluster: Cluster, forwards: Running) -> None:
        super().__init__(cluster, "forwards")
        self._forwards = forwards

    def body(self) -> Iterable[Widget]:
        yield Picker()

    def on_mount(self) -> None:
        self.query_one(Picker).focus()
        self._draw()

    def _draw(self) -> None:
        rows = [(each, _line(each)) for each in self._forwards]
        self.query_one(Picker).show_rows(rows)
        self.say("" if rows else "no port is forwarded: f does so at a task")

    def action_end(self) -> None:
        key = self.query_one(Picker).key
        if isinstance(key, Forwarding):
            self._forwards.end(key)
        self._draw()


def _line(forwarding: Forwarding) -> Line:
    ((here, port),) = forwarding.ports
    return Part(f"{forwarding.bind}:{here}", "title"), Part(" → "), Part(f"{forwarding.task}:{port}")
