"""A text that is asked for again and again while somebody looks."""

import time

from textual.worker import Worker

from orion.model.errors import OrionError
from orion.tui.cluster import Cluster
from orion.tui.lines import Line
from orion.tui.screens.text_pane import TextPane

EVERY_S = 1.0


class Polled(TextPane):
    def __init__(self, cluster: Cluster, heading: str) -> None:
        super().__init__(cluster, heading, heading)
        self._asking: Worker[None] | None = None
        self._known_s: float | None = None

    async def ask(self) -> list[Line]:
        raise NotImplementedError

    def on_mount(self) -> None:
        self.set_interval(EVERY_S, self._again)
        self._again()

    def _again(self) -> None:
        if self.is_current and not (self._asking is not None and self._asking.is_running):
            self._asking = self.run_worker(self._ask())

    async def _ask(self) -> None:
        try:
            lines = await self.ask()
        except OrionError as error:
            old = "" if self._known_s is None else f"; this is {time.monotonic() - self._known_s:.0f} s old"
            self.say(f"{error.detail}{old}")
        else:
            self._known_s = time.monotonic()
            self.say("")
            self.pager.show(lines)
