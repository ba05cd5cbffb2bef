"""Changes that people ask for: commands that are carried out once, however often they come."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from orion.model.errors import NoMajority, Unavailable
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.position import AskPosition
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitted, Submitter
from orion.node.rpc.reads import Read
from orion.node.runtime.deadline import deadline
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.state.commands import AnyCommand

T = TypeVar("T")


async def before_a_change(look: Awaitable[T]) -> T:
    """Returns what has to be known before a change. Raises NoMajority that says that nothing was changed."""
    try:
        return await look
    except NoMajority as error:
        raise NoMajority(f"{error.detail}; nothing was changed") from None


class Changes:
    """One per node."""

    def __init__(
        self, *, clock: Clock, machine: Machine, driver: RaftDriver, forward: Forward, submitter: Submitter
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._driver = driver
        self._forward = forward
        self._submitter = submitter

    async def make(
        self,
        command: Callable[[int, str, int], AnyCommand],
        timeout_s: float,
        *,
        idempotency_key: str = "",
        seen_at: int = 0,
    ) -> Submitted:
        """Commits what `command` makes of its time, its idempotency key (the caller's, or one of its own) and
        `since`, an index from before its first copy, as state/core/dedup.py asks for them. Raises as `submit`.

        `seen_at` is the index at which the subject was looked at: whoever told of it may have been ahead of who
        gives `since`.
        """
        key, since = await self._mark(idempotency_key, timeout_s)
        made = command(self._clock.wall_ms(), key, max(since, seen_at))
        return await self._submitter.submit(made, timeout_s=timeout_s)

    def read_after(self, timeout_s: float) -> Read:
        """Returns the read that shows a change just made: where this node follows the log, it is in its own state
        already.
        """
        return Read(stale=self._driver.is_member, timeout_s=timeout_s)

    async def _mark(self, idempotency_key: str, timeout_s: float) -> tuple[str, int]:
        key = idempotency_key or f"{self._machine.random_bits(64):016x}"
        if self._driver.is_member:
            return key, self._driver.raft.commit
        try:
            async with deadline(timeout_s, "no voter of the cluster answered"):
                return key, (await self._forward.ask(AskPosition())).applied
        except Unavailable as error:
            raise type(error)(f"{error.detail}; nothing was changed") from None
