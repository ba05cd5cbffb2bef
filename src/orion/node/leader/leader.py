"""Starts the duties of the leader when this node leads, and ends them when it does not."""

import asyncio
import logging
from collections.abc import Sequence

from orion.model.errors import OrionError
from orion.node.consensus.driver import RaftDriver
from orion.node.leader.duty import Duty
from orion.node.leader.proposer import Proposer
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.state.tables.cluster import InitCluster

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # a duty that a bug has ended begins anew after so long


class Leader:
    """Runs for the node's life. Duties look at levels and propose commands; what counts is what is committed."""

    def __init__(
        self,
        *,
        clock: Clock,
        machine: Machine,
        driver: RaftDriver,
        proposer: Proposer,
        duties: Sequence[Duty],
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._driver = driver
        self._proposer = proposer
        self._duties = duties

    async def run(self) -> None:
        while True:
            await self._driver.until(leading=True)
            term = self._driver.standing.term
            try:
                async with asyncio.TaskGroup() as group:
                    lead = group.create_task(self._lead(term), name="leader-duties")
                    while self._leads(term):
                        await self._driver.watch.changed()
                    lead.cancel()
            finally:
                log.info("no longer leading")

    def _leads(self, term: int) -> bool:
        return self._driver.is_leader and self._driver.standing.term == term

    async def _lead(self, term: int) -> None:
        await self._driver.read_barrier()  # state holds all that former leaders committed
        while not self._driver.view.cluster:
            cluster = self._machine.random_bits(64)
            await self._proposer.propose(InitCluster(self._clock.wall_ms(), cluster))
        async with asyncio.TaskGroup() as group:
            for duty in self._duties:
                group.create_task(self._keep(duty, term), name=f"leader-{duty.name}")

    async def _keep(self, duty: Duty, term: int) -> None:
        """A bug in one duty is that duty's trouble: it begins anew after a wait, and the others go on."""
        done = False
        while not done:
            try:
                await duty.run(term)
                done = True
            except* UNFORESEEN:
                log.exception("a bug in Orion, in the leader's duty %s", duty.name)
            except* OrionError as errors:
                log.warning("the leader's duty %s failed, trying again: %s", duty.name, _first(errors))
            if not done:
                _end_if_cancelled()
                await asyncio.sleep(AGAIN_S)


def _end_if_cancelled() -> None:
    """Before Python 3.13 a TaskGroup that ends with an error forgets that its task is cancelled in the same turn of
    the loop.
    """
    runner = asyncio.current_task()
    if runner is not None and runner.cancelling():
        raise asyncio.CancelledError


def _first(errors: BaseExceptionGroup[OrionError]) -> OrionError:
    inner: BaseException = errors
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    assert isinstance(inner, OrionError)
    return inner
