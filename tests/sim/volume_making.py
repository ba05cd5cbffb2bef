"""Volumes of a storage system under the same faults: clients that make, copy, grow and remove them; and what holds.

A volume keeps its id. What is wanted is never deleted. At rest the storage system has what the state says, and
nothing else, once each.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from orion.model.api.storage import NewVolumeRequest
from orion.model.errors import OrionError
from orion.node.services.service import Service
from orion.state.tables import State
from sim.cluster import Cluster, ConnectionLost, Machine
from sim.storage_system import DRIVER, SIZE
from sim.world import World

SHARE = 0.15  # of the seeds have it
NAMES = ("disk", "pool", "tape")
KEEPS_ID = "a volume of a storage system keeps its id"
NOT_LOST = "a volume that is wanted is in its storage system"
ONCE = "a storage system has what the state says, once"


def makes_volumes(world: World) -> bool:
    return world.rng("makes volumes").random() < SHARE


class StorageClient:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        rng = self._world.rng("storage client")
        while not self.over:
            kind, question = self._question(rng)
            done = await self._ask(rng.choice(list(self._cluster.machines.values())), question)
            self._world.count(f"client: storage {kind} {'ok' if done else 'failed'}")
            await asyncio.sleep(rng.expovariate(1 / 0.15))
        self._cluster.storage.calm = True

    @staticmethod
    def _question(rng: random.Random) -> tuple[str, Callable[[Service], Awaitable[object]]]:
        name, other, kept = rng.choice(NAMES), rng.choice(NAMES), rng.choice(("monday", "friday"))
        once = {"idempotency_key": "", "timeout_s": 2.0}
        source = rng.choice(("", "", f"volume:{other}", f"snapshot:{kept}"))
        secrets = {"key": "hidden"} if rng.random() < 0.3 else {}
        request = NewVolumeRequest(name, driver=DRIVER, source=source, secrets=secrets)
        match rng.randrange(8):
            case 0 | 1 | 2:
                return "create", lambda s: s.storage.create(request, **once)
            case 3 | 4:
                return "remove", lambda s: s.volumes.remove(name, force=False, **once)
            case 5:
                size = SIZE * rng.randrange(1, 4)
                return "expand", lambda s: s.storage.expand(name, size, **once)
            case 6:
                return "snapshot", lambda s: s.storage.take(name, kept, **once)
        return "forget", lambda s: s.storage.remove_snapshot(kept, force=False, **once)

    @staticmethod
    async def _ask(machine: Machine, question: Callable[[Service], Awaitable[object]]) -> bool:
        try:
            async with asyncio.timeout(15.0):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError):
            return False
        return True


def tables(state: State) -> tuple[dict, dict]:
    """Rows of volumes of storage systems, and of snapshots; of either build."""
    found = {type(each).__name__: each for each in state.tables.values()}
    volumes = {name: row for name, row in found["Volumes"].rows.items() if row.system is not None}
    return volumes, found["VolumeSnapshots"].rows


class MakingWatch:
    """After each entry."""

    def __init__(self, cluster: Cluster, world: World, state: State) -> None:
        self._cluster = cluster
        self._world = world
        self._state = state
        self._ids: dict[tuple[str, int], str] = {}
        cluster.storage.is_wanted = self._is_wanted

    def _is_wanted(self, name: str) -> bool:
        """`name` as the plugin knows it, which holds the row's own and its index."""
        own, _, index = name.rpartition("-")
        return any(
            own.endswith(f"-{row.name}") and str(row.created_index) == index
            for rows in tables(self._state)
            for row in rows.values()
        )

    def look(self, state: State) -> None:
        volumes, snapshots = tables(state)
        if self._cluster.has_array or (not volumes and not snapshots):
            return
        for rows, kept in ((volumes, self._cluster.storage.volumes), (snapshots, self._cluster.storage.snapshots)):
            for row in rows.values():
                key = row.name, row.created_index
                if self._ids.get(key, "") not in ("", row.data):
                    self._world.fail(KEEPS_ID, f"{row} was {self._ids[key]}")
                self._ids[key] = row.data
                leaves = row.removing if rows is snapshots else row.system.removing
                if row.data and not leaves and row.data not in kept:
                    self._world.fail(NOT_LOST, f"{row} is not there")


def making_unrest(cluster: Cluster, state: State) -> str:
    if cluster.has_array:
        return ""
    volumes, snapshots = tables(state)
    for row in volumes.values():
        part = row.system
        if not row.data or part.removing or part.grow_to:
            return f"volume {row.name} is {part}"
    for row in snapshots.values():
        if not row.ready or row.removing:
            return f"snapshot {row.name} is {row}"
    for rows, kept in ((volumes, cluster.storage.volumes), (snapshots, cluster.storage.snapshots)):
        there = sorted(each for each, thing in kept.items() if not thing.orphan)
        if there != sorted(row.data for row in rows.values()):
            cluster.world.fail(ONCE, f"{there} are there, and {list(rows.values())} should be")
    return ""
