"""What tells the copies of one command from all other commands."""

from typing import Protocol, TypeVar

from orion.model.errors import Unavailable
from orion.node.consensus.driver import RaftDriver
from orion.node.rpc.requests import AskPosition, Request
from orion.node.runtime.deadline import deadline
from orion.ports.machine import Machine

R = TypeVar("R")


class Ask(Protocol):
    """Has a question answered here or at a voter."""

    async def __call__(self, request: Request[R], /) -> R: ...


class Marks:
    def __init__(self, *, machine: Machine, driver: RaftDriver, ask: Ask) -> None:
        self._machine = machine
        self._driver = driver
        self._ask = ask

    async def new(self, idempotency_key: str, timeout_s: float) -> tuple[str, int]:
        """What state/idempotency.py asks for: the command's `idempotency_key` (the caller's, or one of its own) and
        `since`, an index from before the first copy.
        """
        key = idempotency_key or f"{self._machine.random_bits(64):016x}"
        if self._driver.is_member:
            return key, self._driver.raft.commit
        try:
            async with deadline(timeout_s, "no voter of the cluster answered"):
                return key, (await self._ask(AskPosition())).applied
        except Unavailable as error:
            raise type(error)(f"{error.detail}; nothing was changed") from None
