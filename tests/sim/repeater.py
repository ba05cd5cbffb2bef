"""A client that repeats itself: it asks under one key until it is answered, and then once more, elsewhere.
Whatever was lost on the way, its task is made once, and a repetition is never told that the name is taken.
"""

import asyncio

from orion.model.api.tasks import TaskRequest
from orion.model.errors import Conflict, NotFound, OrionError
from sim.cluster import Cluster, ConnectionLost
from sim.engine import FOREVER

MEAN_PAUSE_S = 2.0
PATIENCE_S = 6.0
NAME = "client-9"  # numbered like the workload's clients, so that a replay may leave out what it asks (gate.py)


class Repeater:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self._rng = self.world.rng("repeater")
        self._over = False
        self._runner: asyncio.Task | None = None

    def begin(self) -> None:
        self._runner = self.world.spawn(self._repeat(), name=NAME)

    async def end(self) -> None:
        self._over = True
        if self._runner is not None:
            await self._runner

    async def _repeat(self) -> None:
        made = 0
        while not self._over:
            await asyncio.sleep(self._rng.expovariate(1 / MEAN_PAUSE_S))
            made += 1
            request = TaskRequest(image=FOREVER, name=f"once{made}", memory=0, cpu=0.0)
            for _ in range(2):
                while not await self._answered(request) and not self._over:  # noqa: ASYNC110 -- asks, not waits
                    await asyncio.sleep(self._rng.uniform(0.05, 0.5))

    async def _answered(self, request: TaskRequest) -> bool:
        machine = self._rng.choice(list(self.cluster.machines.values()))
        try:
            async with asyncio.timeout(PATIENCE_S):
                view = await machine.ask(
                    lambda s: s.create_task(
                        request, idempotency_key=f"key of {request.name}", timeout_s=2.0, wait_running_s=0.0
                    )
                )
        except Conflict as error:
            self.world.fail("exactly once under one key", f"{request.name}: {error.detail}")
        except NotFound as error:
            self.world.fail("an acknowledged write survives", f"{request.name}: {error.detail}")
        except (OrionError, ConnectionLost, TimeoutError):
            return False
        self.world.count("client: create answered under its key")
        if view.name != request.name:
            self.world.fail("exactly once under one key", f"{request.name} was answered with {view.name}")
        return True
