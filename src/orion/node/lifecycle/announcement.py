"""Tells all others by gossip which role, cluster and live use this node has."""

import asyncio

from orion.model.ids import RaftId
from orion.model.membership import NodeRole
from orion.model.node import address_text
from orion.node.consensus.driver import RaftDriver
from orion.node.lifecycle.belonging import Belonging
from orion.node.membership.directory import NodeMetadata
from orion.node.views.render import Roles
from orion.ports.log import LogStore
from orion.ports.machine import Machine, Usage
from orion.ports.membership import Membership
from orion.process.config import Config

USAGE_EVERY_S = 5.0


class Announcement:
    """At once when `due` is set, use now and then."""

    def __init__(
        self,
        *,
        config: Config,
        version: str,
        belonging: Belonging,
        driver: RaftDriver,
        store: LogStore,
        machine: Machine,
        membership: Membership,
        due: asyncio.Event,
    ) -> None:
        self._config = config
        self._version = version
        self._belonging = belonging
        self._driver = driver
        self._store = store
        self._machine = machine
        self._membership = membership
        self._due = due

    async def run(self) -> None:
        """Until cancelled. A new identity is on the disk before anybody is told."""
        written = self._belonging.identity
        said: NodeMetadata | None = None
        while True:
            usage = self._machine.usage()
            try:
                async with asyncio.timeout(USAGE_EVERY_S):
                    while True:
                        self._due.clear()
                        if (identity := self._belonging.identity) != written:
                            await self._store.set_identity(identity)
                            written = identity
                        if (metadata := self.metadata(usage)) != said:
                            await self._membership.set_metadata(metadata.encode())
                            said = metadata
                        await self._due.wait()
            except TimeoutError:
                continue

    def metadata(self, usage: Usage | None = None) -> NodeMetadata:
        config, standing, identity = self._config, self._driver.standing, self._belonging.identity
        role = Roles(self._driver).of(RaftId(identity.raft_id)) if standing.leader else NodeRole.WORKER
        return NodeMetadata(
            raft_id=identity.raft_id,
            peer_address=address_text(config.advertise, config.raft_port),
            api_address=address_text(config.advertise, config.port),
            version=self._version,
            role=role,
            term=standing.term if role is NodeRole.LEADER else 0,
            cluster=identity.cluster,
            usage=usage,
            recovery=identity.recovery,
        )
