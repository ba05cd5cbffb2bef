"""Proposes the decisions of duties."""

import asyncio
import logging

from orion.model.errors import OrionError, TooLarge, TooNew
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.proposals import Committed
from orion.state.commands import AnyCommand, encode_command
from orion.state.gate import require_open
from orion.state.sound import fault_of

log = logging.getLogger(__name__)

PROPOSE_TIMEOUT_S = 10.0
NOT_TAKEN_AGAIN_S = 0.1
REFUSED_AGAIN_S = 1.0


class Proposer:
    def __init__(self, driver: RaftDriver) -> None:
        self._driver = driver

    async def propose(self, command: AnyCommand) -> Committed | None:
        """None when it was not taken, after a wait: the duty looks again."""
        if fault := fault_of(command):
            log.error("a decision that nobody could carry out: %s; it was %.300r", fault, command)
            await asyncio.sleep(REFUSED_AGAIN_S)
            return None
        try:
            require_open(command, self._driver.view)
            async with asyncio.timeout(PROPOSE_TIMEOUT_S):
                return await self._driver.propose(encode_command(command))
        except (TooLarge, TooNew) as error:
            # The same again would be refused again: only another state of things gives another decision.
            log.error("a decision can't be committed: %s; it was %.300r", error, command)  # noqa: TRY400
            await asyncio.sleep(REFUSED_AGAIN_S)
            return None
        except (OrionError, TimeoutError) as error:
            log.info("a decision was not committed: %s", error)
            await asyncio.sleep(NOT_TAKEN_AGAIN_S)
            return None
