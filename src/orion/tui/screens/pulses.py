"""The health of the cluster, once a second while somebody looks."""

import time
from collections.abc import Iterable
from functools import partial

from textual.events import Resize
from textual.widget import Widget
from textual.worker import Worker

from orion.client import Client
from orion.model.api.watch import Noun
from orion.model.errors import OrionError
from orion.tui.cluster import Cluster
from orion.tui.pager import Pager
from orion.tui.screens.pane import OLD_S, Pane
from orion.tui.texts.pulse import Measure, Pulse, leader_address, measure
from orion.tui.texts.pulse_lines import pulse_lines

EVERY_S = 1.0


class Pulses(Pane):
    nouns = frozenset({Noun.NODES, Noun.JOBS, Noun.TASKS, Noun.DEPLOYMENTS})

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "pulses")
        self.pulse = Pulse()
        self._asking: Worker[None] | None = None
        self._measured_s: float | None = None

    def body(self) -> Iterable[Widget]:
        yield Pager(wrap=False)

    def on_mount(self) -> None:
        self.query_one(Pager).focus()
        self.set_interval(EVERY_S, self._measure)
        self._measure()

    def _measure(self) -> None:
        if self.is_current and not (self._asking is not None and self._asking.is_running):
            self._asking = self.run_worker(self._ask())

    async def _ask(self) -> None:
        leader = leader_address(self.cluster.store)
        try:
            measured = await self.cluster.ask(partial(_measured, leader))
        except OrionError as error:
            old = (
                ""
                if self._measured_s is None
                else f"; the figures are {time.monotonic() - self._measured_s:.0f} s old"
            )
            self.say(f"{error.detail}{old}")
        else:
            self._measured_s = time.monotonic()
            self.pulse.take(measured, self.cluster.store)
            self.say("")
        self.rows_changed()

    def rows_changed(self) -> None:
        pager = self.query_one(Pager)
        width = pager.scrollable_content_region.width or self.size.width - 1
        heard_s = self.cluster.store.heard_s
        age_s = 0.0 if heard_s is None else time.monotonic() - heard_s
        pager.show(pulse_lines(self.cluster.store, self.pulse, width, old_s=age_s if age_s > OLD_S else 0.0))

    def on_resize(self, event: Resize) -> None:
        del event
        self.call_after_refresh(self.rows_changed)


def _measured(leader: str, client: Client) -> Measure:
    return measure(client, leader)
