"""Tells the copies of one command from all other commands."""

from orion.model.errors import Unavailable
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.position import AskPosition
from orion.node.routing.forward import Forward
from orion.node.runtime.deadline import deadline
from orion.ports.machine import Machine


class Marks:
    def __init__(self, *, machine: Machine, driver: RaftDriver, forward: Forward) -> None:
        self._machine = machine
        self._driver = driver
        self._forward = forward

    async def new(self, idempotency_key: str, timeout_s: float) -> tuple[str, int]:
        """Returns what state/core/dedup.py asks for: the command's `idempotency_key` (the caller's, or one of its
        own) and `since`, an index from before the first copy.
        """
        key = idempotency_key or f"{self._machine.random_bits(64):016x}"
        if self._driver.is_member:
            return key, self._driver.raft.commit
        try:
            async with deadline(timeout_s, "no voter of the cluster answered"):
                return key, (await self._forward.ask(AskPosition())).applied
        except Unavailable as error:
            raise type(error)(f"{error.detail}; nothing was changed") from None
