"""Clients that deploy: jobs of several tasks are put, scaled, taken back, restarted, stopped and removed, whatever
else happens. Their answers are not held against anybody; what the log makes of them is (deployments.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from orion.model.api.config_refs import ConfigRefRequest
from orion.model.api.jobs import JobRequest
from orion.model.api.update_fields import UpdateRequest
from orion.model.errors import OrionError
from orion.model.resources import MIB
from orion.node.services.service import Service
from sim.aliased import job_aliases
from sim.cluster import ConnectionLost
from sim.engine import CRASHES, FOREVER, MISSING
from sim.guarded import job_allow_from
from sim.networked import is_networked, networks_of_a_job
from sim.published import job_ingress
from sim.volumed import is_volumed, volumes_of_a_job
from sim.world import World

NAMES = ("j0", "j1", "j2")
MEAN_PAUSE_S = 1.5
PATIENCE_S = 3.0
TIMEOUT_S = 5.0


CONFIG = "jobs/config"  # nobody deletes it
MOUNTS = 3  # jobs of so many tasks get it


async def _put(service: Service, name: str, request: JobRequest) -> object:
    if request.configs:
        value = request.env["V"].encode()
        await service.configs.put(CONFIG, value, if_version=None, idempotency_key="", timeout_s=TIMEOUT_S)
    return await service.jobs.put(name, request, if_version=-1, plan="", idempotency_key="", timeout_s=TIMEOUT_S)


class JobsWorkload:
    def __init__(self, world: World, cluster) -> None:
        self._world = world
        self._cluster = cluster
        self._networks = world.rng("networks of jobs") if is_networked(world) else None
        self._allowed = world.rng("who may reach jobs") if is_networked(world) else None
        self._aliases = world.rng("aliases of jobs") if is_networked(world) else None
        self._ingress = world.rng("ports of jobs") if is_networked(world) else None
        self._volumes = world.rng("volumes of jobs") if is_volumed(world) else None

    async def client(self, number: int, is_over: Callable[[], bool]) -> None:
        """Until it is over. Then nothing waits for a word any more."""
        rng = self._world.rng("jobs", number)
        while not is_over():
            await asyncio.sleep(rng.expovariate(1 / MEAN_PAUSE_S))
            await self._ask(rng)

    async def _ask(self, rng: random.Random) -> None:
        kind, question = self._question(rng)
        machine = rng.choice(list(self._cluster.machines.values()))
        try:
            async with asyncio.timeout(TIMEOUT_S + PATIENCE_S):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError):
            self._world.count(f"jobs: {kind} failed")
        else:
            self._world.count(f"jobs: {kind}")

    def _question(self, rng: random.Random) -> tuple[str, Callable[[Service], Awaitable[object]]]:
        name, draw = rng.choice(NAMES), rng.random()
        if draw < 0.5:
            request = self._request(rng)
            return "put", lambda s: _put(s, name, request)
        if draw < 0.65:
            count = rng.randrange(6)
            return "scale", lambda s: s.jobs.set_count(name, count, timeout_s=TIMEOUT_S)
        if draw < 0.75:
            return "roll back", lambda s: s.jobs.roll_back(name, -1, timeout_s=TIMEOUT_S)
        if draw < 0.85:
            return "restart", lambda s: s.jobs.restart(name, timeout_s=TIMEOUT_S)
        if draw < 0.9:
            return "promote", lambda s: s.jobs.promote(name, timeout_s=TIMEOUT_S)
        if draw < 0.94:
            return "stop", lambda s: s.jobs.stop(name, timeout_s=TIMEOUT_S)
        if draw < 0.97:
            return "start", lambda s: s.jobs.start(name, timeout_s=TIMEOUT_S)
        return "delete", lambda s: s.jobs.delete(name, timeout_s=TIMEOUT_S)

    def _request(self, rng: random.Random) -> JobRequest:
        count = rng.randrange(1, 6)
        update = UpdateRequest(
            order=rng.choice(("auto", "auto", "start-first", "stop-first")),
            parallelism=rng.choice((1, 1, 2)),
            monitor_seconds=rng.choice((0.5, 2.0)),
            failure_action=rng.choice(("rollback", "rollback", "pause", "continue")),
            min_available=rng.choice((None, None, max(0, count - 1))),
            progress_deadline_seconds=rng.choice((5.0, 10.0)),
            canary=rng.choice((0, 0, 0, 1)),
            auto_promote=True,
        )
        networks = networks_of_a_job(self._networks) if self._networks else []
        configs = [ConfigRefRequest(CONFIG, env="C")] if count == MOUNTS else []
        return JobRequest(
            configs=configs,
            image=rng.choice((*[FOREVER] * 6, CRASHES, MISSING)),
            env={"V": str(rng.randrange(3))},
            memory=rng.choice((0, 64, 256)) * MIB,
            count=count,
            restart_policy=rng.choice(("on-failure", "always")),
            stop_grace_seconds=rng.choice((0.5, 2.0)),
            update=update,
            networks=networks,
            network_aliases=job_aliases(self._aliases, networks) if self._aliases else [],
            ingress=job_ingress(self._ingress) if self._ingress else [],
            allow_from=job_allow_from(self._allowed) if self._allowed else [],
            volumes=volumes_of_a_job(self._volumes) if self._volumes else [],
        )
