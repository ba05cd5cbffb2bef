"""Backups: the state at one index as a stream, from this node while it follows the log, else from a voter."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

from orion.model.errors import NotFound, Unavailable
from orion.model.ids import NodeId
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import StreamRequest
from orion.node.services.freshness import Freshness
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.state.snapshot import capture, encode

SILENCE_S = 10.0  # a part is encoded a turn of the loop; who sends none for so long has stopped


class FetchBackup(StreamRequest[bytes], frozen=True, tag=15):
    """The whole state, as wire/backups.py has it."""

    silence_s: ClassVar = SILENCE_S

    read: Read


class Backups:
    def __init__(
        self,
        *,
        me: NodeId,
        version: str,
        clock: Clock,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        freshness: Freshness,
    ) -> None:
        self._me = me
        self._version = version
        self._clock = clock
        self._driver = driver
        self._forward = forward
        self._freshness = freshness
        registry.answer_stream(FetchBackup, self._answer)

    def stream(self, read: Read) -> AsyncGenerator[bytes, None]:
        """The backup's bytes. Raises Unavailable or NoMajority when the state can't be had as fresh as `read`
        demands, NotFound when there is none yet.
        """
        return self._forward.stream(FetchBackup(read))

    async def _answer(self, request: FetchBackup, _: Principal) -> AsyncGenerator[bytes, None]:
        """Yields a backup of this node's own state, captured in one turn, then encoded a chunk a turn."""
        driver = self._driver
        from orion.wire.backups import FORMAT, About, encode_backup

        await self._freshness.reached(request.read)
        if not driver.is_member:
            raise Unavailable(f"{self._me} does not follow the cluster's log")
        if not driver.view.cluster:
            raise NotFound("there is nothing to save yet: the cluster has not begun")
        about = About(
            FORMAT,
            driver.view.cluster,
            driver.applied_index,
            driver.applied_term,
            self._clock.wall_ms(),
            self._me,
            self._version,
        )
        for part in encode_backup(about, encode(capture(driver.state))):
            yield part
            await asyncio.sleep(0)
