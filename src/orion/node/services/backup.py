"""Backups: the state at one index as a stream, from this node while it follows the log, else from a voter."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from orion.model.errors import NotFound, Unavailable
from orion.model.ids import NodeId
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.routing.forward import from_a_voter
from orion.node.rpc.reads import Read
from orion.node.rpc.requests import FetchBackup, encode_request
from orion.ports.clock import Clock
from orion.ports.peers import Peers
from orion.state.snapshot import capture, encode
from orion.wire.backups import FORMAT, About, encode_backup


class Backups:
    """`fresh` returns when the applied state is as fresh as a Read demands."""

    def __init__(
        self,
        *,
        me: NodeId,
        version: str,
        clock: Clock,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        fresh: Callable[[Read], Awaitable[int]],
    ) -> None:
        self._me = me
        self._version = version
        self._clock = clock
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._fresh = fresh

    async def stream(self, read: Read) -> AsyncGenerator[bytes, None]:
        """The backup's bytes. Raises Unavailable or NoMajority when the state can't be had as fresh as `read`
        demands, NotFound when there is none yet.
        """
        parts = self.take(read) if self._driver.is_member else self._from_a_voter(read)
        async with contextlib.aclosing(parts):
            async for part in parts:
                yield part

    async def take(self, read: Read) -> AsyncGenerator[bytes, None]:
        """Of this node's own state, captured in one turn of the loop, then encoded a chunk a turn."""
        driver = self._driver
        await self._fresh(read)
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

    def _from_a_voter(self, read: Read) -> AsyncGenerator[bytes, None]:
        request = encode_request(FetchBackup(read))
        return from_a_voter(
            request, lambda part, _: part, me=self._me, directory=self._directory, peers=self._peers
        )
