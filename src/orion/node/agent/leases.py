"""Tasks that may not go on without the cluster: each has a time at which this machine's keeper ends it, unless a
quorum has said meanwhile that this node lives.

The time is counted from when the question was asked, so it is over before the leader may give away what the task
has (model/claims.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from orion.model.allocation import Allocation
from orion.model.claims import stop_after_ms
from orion.model.errors import OrionError
from orion.model.ids import AllocationId, NodeId
from orion.model.job import TaskSpec
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.agent.confirm import Confirm, Confirmed
from orion.node.agent.hooks.hook import NotYet
from orion.ports.clock import Clock
from orion.ports.keeper import Keeper

log = logging.getLogger(__name__)

RENEW_S = 1.0
ASK_S = 3.0


class Leases:
    def __init__(
        self,
        *,
        me: NodeId,
        clock: Clock,
        source: AssignmentWatcher,
        keeper: Keeper,
        confirm: Callable[[Confirm], Awaitable[Confirmed]],
        may_run: Callable[[AllocationId], bool],
    ) -> None:
        """`may_run`: whether a container of an allocation may be there."""
        self._me = me
        self._clock = clock
        self._source = source
        self._keeper = keeper
        self._confirm = confirm
        self._may_run = may_run
        self._standing_ms: int | None = None  # when the question was asked that had the last good answer
        self._kept: dict[AllocationId, int] = {}  # as the keeper was told
        # Until when those may start that a quorum has said are wanted. No renewal makes it longer: that is of what
        # this node believes to be its work.
        self._may_start_ms: dict[AllocationId, int] = {}
        self._looks = asyncio.Event()
        self._turn = asyncio.Lock()
        self._agreed_ms: int | None = None  # until when the cluster waits for this node, which stops
        self._why = ""
        source.on_change.append(self._looks.set)

    def stop_after_ms(self, allocation: Allocation, spec: TaskSpec) -> int:
        """As the task has it, and no longer than the leader waits for any of its volumes. 0: it goes on."""
        if spec.stop_after_disconnect_ms is None and not spec.has_volumes:
            return 0
        claims = self._source.latest.claims if self._source.latest is not None else ()
        own = stop_after_ms(spec, allocation.index, {each.volume.name: each.volume for each in claims})
        mine = spec.volume_names(allocation.index)
        times = [own, *(each.claim.stop_after_ms for each in claims if each.volume.name in mine)]
        return min(filter(None, times), default=0)

    async def require(self, allocation: Allocation, spec: TaskSpec) -> None:
        """Returns once the keeper watches it. Raises NotYet while this node may not start it."""
        stop_after = self.stop_after_ms(allocation, spec)
        self._may_start_ms.pop(allocation.id, None)
        if not stop_after:
            return
        # Asked for each start, of a container that was there before too: what this node knows of its work may be of
        # before it was cut off, and the task runs elsewhere by now.
        standing_ms, wanted = await self._ask(allocation.id)
        if standing_ms is None:
            raise NotYet(f"waits until {self._me} reaches the cluster: {self._why}")
        if not wanted:
            raise NotYet(f"waits for {self._me} to hear whether it is wanted here still")
        try:
            await self._tell({allocation.id: standing_ms + stop_after})
        except OrionError as error:
            raise NotYet(
                f"waits until somebody can end it when {self._me} loses the cluster: {error.detail}"
            ) from None
        self._may_start_ms[allocation.id] = standing_ms + stop_after

    def require_time(self, allocation: AllocationId) -> None:
        """Raises NotYet once the time is over that `require` has found: by now the task may run elsewhere, with its
        volume.
        """
        until_ms = self._may_start_ms.pop(allocation, None)
        if until_ms is not None and self._clock.now_ms() >= until_ms:
            raise NotYet(f"waits for {self._me} to hear anew whether it is wanted here: its start took too long")

    async def run(self) -> None:
        while True:
            self._looks.clear()
            needed = self._needed()
            if needed:
                await self._ask()
            if needed or self._kept:
                await self._renew(needed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S if needed or self._kept else None):
                    await self._looks.wait()

    async def extend(self, from_ms: int, more_ms: int) -> None:
        """Has them all go on for longer without this process, which ends: the cluster has agreed to wait for it.

        `from_ms`: a time before the cluster was told, so before it began to wait. Nothing without a quorum's word
        that this node lives: for one that was down already nobody waits.
        """
        needed = self._needed()
        if not needed:
            return
        asked_ms, _ = await self._ask()
        if asked_ms is not None:
            self._agreed_ms = from_ms + more_ms
            await self._renew(needed)

    def _needed(self) -> dict[AllocationId, int]:
        work = self._source.latest
        found = {}
        for each in work.assigned if work is not None else ():
            if not each.allocation.terminal and (time_ms := self.stop_after_ms(each.allocation, each.spec)):
                found[each.allocation.id] = time_ms
        return found

    async def _ask(self, *allocations: AllocationId) -> tuple[int | None, bool]:
        """Asks whether this node lives, as a quorum has it. Returns when it was asked, None without a good answer,
        and whether all of these are wanted.
        """
        asked_ms, wanted = self._clock.now_ms(), False
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._confirm(Confirm(allocations, (self._me,)))
        except TimeoutError:
            why = f"no quorum answers within {ASK_S:g} s"
        except OrionError as error:
            why = error.detail
        else:
            why = f"the cluster has {self._me} as down" if self._me in answer.gone else ""
            wanted = set(allocations) <= set(answer.wanted)
        if not why:
            self._standing_ms = max(asked_ms, self._standing_ms or 0)
        if why and not self._why:
            log.warning("tasks here end unless the cluster is reached in time: %s", why)
        self._why = why
        return (None if why else asked_ms), wanted

    async def _renew(self, needed: dict[AllocationId, int]) -> None:
        if self._standing_ms is None:
            return  # those of a former process have the time that it was given
        from_ms = self._standing_ms if self._agreed_ms is None else self._agreed_ms
        until_ms = {each: from_ms + time_ms for each, time_ms in needed.items()}
        # One that is over and runs still is ended by the keeper if nobody else does.
        ended = [each for each in self._kept if each not in needed and not self._may_run(each)]
        try:
            # All of it, each time: a keeper that was killed meanwhile knows of nothing.
            await self._tell(self._kept | until_ms, tuple(ended))
        except OrionError as error:
            log.warning("%s", error.detail)

    async def _tell(self, until_ms: dict[AllocationId, int], ended: tuple[AllocationId, ...] = ()) -> None:
        async with self._turn:
            await self._keeper.renew(until_ms, ended)
            self._kept.update(until_ms)
            for each in ended:
                self._kept.pop(each, None)
