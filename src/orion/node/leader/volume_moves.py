"""A duty: has the data of volumes copied to the nodes that they go to, once no task has them any more."""

import asyncio
import contextlib

from orion.model.errors import OrionError
from orion.model.node import NodeStatus
from orion.model.volumes import Volume
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.proposer import Proposer
from orion.node.leader.until import changed_or_due
from orion.node.routing.forward import Forward
from orion.node.routing.volume_data import CopyData, DropData
from orion.ports.clock import Clock
from orion.reconcile.deployment_look import NEVER_MS
from orion.state.tables.volume_moves import EndVolumeMove
from orion.state.tables.volumes import Volumes, is_held

GATHER_S = 0.05
ASK_S = 5.0
DROP_S = 10.0
AGAIN_MS = 300  # between two questions to the node that copies
MAX_ASKED = 16  # volumes at a time


class VolumeMoves:
    name = "volume moves"

    def __init__(self, *, clock: Clock, driver: RaftDriver, proposer: Proposer, forward: Forward) -> None:
        self._clock = clock
        self._driver = driver
        self._proposer = proposer
        self._forward = forward

    async def run(self, _term: int, /) -> None:
        while True:
            seen = self._driver.watch.moves
            moving = [row for row in self._driver.view.of(Volumes).rows.values() if row.moving_to]
            await asyncio.gather(*(self._go_on(row) for row in moving[:MAX_ASKED]))
            due_ms = self._clock.now_ms() + AGAIN_MS if moving else NEVER_MS
            await changed_or_due(self._driver, self._clock, due_ms, GATHER_S, seen)

    async def _go_on(self, row: Volume) -> None:
        view = self._driver.view
        target, home = view.node(row.moving_to), view.node(row.home)
        if target is None or target.status is NodeStatus.DOWN:
            await self._end(row, f"{row.moving_to} is {'gone' if target is None else 'down'}")
            return
        if row.restores:
            return  # whoever has the backup sends it, and ends this
        if home is None or home.status is NodeStatus.DOWN:
            await self._end(row, f"{row.home} is {'gone' if home is None else 'down'}, so its data can't be read")
            return
        if is_held(row.name, view.node_record(row.home), view.allocations, view.job_record):
            return
        ask = CopyData(row.key, row.home, row.data, row.next_data)
        try:
            state = await self._forward.ask_node(row.moving_to, ask, timeout_s=ASK_S)
        except OrionError:  # asked again, or its node is down soon
            return
        if state.done:
            await self._end(row, "")
            await self._drop(row)
        elif state.missing:
            await self._end(row, state.reason)

    async def _drop(self, row: Volume) -> None:
        """The former copy has another name than the volume's data, so that nobody takes it for that."""
        now = self._driver.view.of(Volumes).get(row.name)
        if now is None or now.data != row.next_data:
            return
        with contextlib.suppress(OrionError):
            await self._forward.ask_node(row.home, DropData(row.key, row.data), timeout_s=DROP_S)

    async def _end(self, row: Volume, reason: str) -> None:
        command = EndVolumeMove(self._clock.wall_ms(), row.name, row.created_index, row.moving_to, row.move, reason)
        await self._proposer.propose(command)
