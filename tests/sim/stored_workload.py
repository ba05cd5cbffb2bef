"""Clients whose jobs have volumes of a storage system: one writer's, several writers', readers beside; they update,
scale, stop, restart and remove them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from orion.model.api.jobs import JobRequest
from orion.model.api.storage import NewVolumeRequest
from orion.model.api.update_fields import UpdateRequest
from orion.model.api.volume_fields import VolumeRequest
from orion.model.csi import AccessMode
from orion.model.errors import OrionError
from orion.model.resources import MIB
from orion.node.services.service import Service
from sim.cluster import Cluster, ConnectionLost
from sim.csi_plugin import NAME
from sim.engine import FOREVER
from sim.workload import Workload

JOBS = ("s0", "s1", "s2")
VOLUMES = {
    "db": AccessMode.SINGLE_NODE_WRITER,
    "one": AccessMode.SINGLE_NODE_MULTI_WRITER,
    "logs": AccessMode.MULTI_NODE_MULTI_WRITER,
    "site": AccessMode.MULTI_NODE_SINGLE_WRITER,
}
MEAN_PAUSES_S = (0.5, 2.0, 2.0, 6.0)
TIMEOUT_S = 5.0
PATIENCE_S = 3.0

Question = Callable[[Service], Awaitable[object]]


def _create(name: str, access: AccessMode) -> tuple[str, Question]:
    request = NewVolumeRequest(name, driver=NAME, access=access.value)
    return "create", lambda s: s.storage.create(request, idempotency_key="", timeout_s=TIMEOUT_S)


class StoredWorkload(Workload):
    """In the place of all other clients."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.made = asyncio.Event()
        self._pause_s = self.world.rng("stored").choice(MEAN_PAUSES_S)

    def begin(self) -> None:
        self._runners.append(self.world.spawn(self._stored_client(), name="client-0"))

    async def _stored_client(self) -> None:
        rng = self.world.rng("stored client")
        for name, access in VOLUMES.items():
            while not self._over:
                if await self._ask(*_create(name, access), rng):
                    break
                await asyncio.sleep(0.5)
        for name in JOBS:
            await self._ask(*self._put(name, rng), rng)
        self.made.set()
        while not self._over:
            await asyncio.sleep(rng.expovariate(1 / self._pause_s))
            await self._ask(*self._question(rng), rng)

    async def _ask(self, kind: str, question: Question, rng: random.Random) -> bool:
        machine = rng.choice(list(self.cluster.machines.values()))
        try:
            async with asyncio.timeout(TIMEOUT_S + PATIENCE_S):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError) as error:
            self.world.count(f"stored: {kind} failed")
            self.world.trace("client", f"{kind} failed: {error}")
            return False
        self.world.count(f"stored: {kind}")
        return True

    def _question(self, rng: random.Random) -> tuple[str, Question]:
        name, draw = rng.choice(JOBS), rng.random()
        if draw < 0.45:
            return self._put(name, rng)
        if draw < 0.6:
            count = rng.randrange(4)
            return "scale", lambda s: s.jobs.set_count(name, count, timeout_s=TIMEOUT_S)
        if draw < 0.75:
            return "restart", lambda s: s.jobs.restart(name, timeout_s=TIMEOUT_S)
        if draw < 0.85:
            return "stop", lambda s: s.jobs.stop(name, timeout_s=TIMEOUT_S)
        if draw < 0.95:
            return "start", lambda s: s.jobs.start(name, timeout_s=TIMEOUT_S)
        return "delete", lambda s: s.jobs.delete(name, timeout_s=TIMEOUT_S)

    def _put(self, name: str, rng: random.Random) -> tuple[str, Question]:
        request = self._stored_request(rng)
        return "put", lambda s: s.jobs.put(
            name, request, if_version=-1, plan="", idempotency_key="", timeout_s=TIMEOUT_S
        )

    @staticmethod
    def _stored_request(rng: random.Random) -> JobRequest:
        volumes = rng.sample(list(VOLUMES), rng.choice((1, 1, 1, 2)))
        return JobRequest(
            image=FOREVER,
            env={"V": str(rng.randrange(3))},
            memory=rng.choice((0, 64)) * MIB,
            count=rng.choice((1, 1, 1, 2, 3)),
            restart_policy="always",
            stop_grace_seconds=rng.choice((0.5, 2.0)),
            stop_after_disconnect_seconds=rng.choice((None, None, 3.0, 6.0, 0.0)),
            update=UpdateRequest(
                monitor_seconds=rng.choice((0.5, 2.0)),
                failure_action=rng.choice(("rollback", "pause", "continue")),
                progress_deadline_seconds=10.0,
            ),
            volumes=[
                VolumeRequest(f"/{each}", each, read_only=each != "site" and rng.random() < 0.3) for each in volumes
            ],
        )
