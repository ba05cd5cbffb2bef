"""Clients of the API on all nodes: they create, stop, start and delete tasks, put and delete configs, read, and
remember exactly what they were told.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from orion.model.api.configs import ConfigView
from orion.model.api.endpoints import EndpointView
from orion.model.api.health_fields import (
    ExecCheckRequest,
    HealthCheckRequest,
    HookRequest,
    HooksRequest,
    HttpCheckRequest,
)
from orion.model.api.placement_fields import AffinityRequest, PlacementRequest
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.errors import Conflict, Invalid, NotFound, OrionError, Refused, TooNew, Unavailable
from orion.model.folders import Entry, write_folder
from orion.model.resources import MIB
from orion.node.rpc.reads import Read
from orion.node.services.service import Service
from sim.cluster import Cluster, ConnectionLost, ConnectionRefused, Machine
from sim.engine import CRASHES, FOREVER, MISSING, SUCCEEDS
from sim.history import ENDS, STAYS, Op
from sim.jobs_workload import JobsWorkload
from sim.kinds import PREFIX, SHARE, KindsClient
from sim.networked import NetworkClient, is_networked
from sim.ordered import SHARE as ORDERED
from sim.ordered import OrderedClient
from sim.volume_making import StorageClient, makes_volumes
from sim.volumed import VolumeClient, is_volumed
from sim.world import World

CLIENTS = 4  # of tasks
CONFIG_CLIENTS = 2
EAGER = 0.4  # of seeds in which somebody asks each new leader at once
EAGER_READERS = 1_000  # the first of them
DEPLOYS = 0.5  # of seeds in which jobs of several tasks are changed; the others find what they found before
CHECKER = -1  # who reads at the end
CONFIGS = ("app/a", "app/b", "lock")
NAMES = 12  # few, so that clients meet
CONSTRAINTS = ("zone=a", "zone!=a", "zone in (a, b)", "zone exists", "zone not exists", "id~[13]$", "id>=0")
STATIC_PORTS = ("8080", "8081", "127.0.0.1:8082")
MEAN_PAUSES_S = (0.05, 0.3, 0.3, 1.0)  # between two operations of a client: each seed draws one
AT_ONCE = 0.4  # how often a deleted name is used again, and a stopped task started again, without a pause
HOOKS = HooksRequest([HookRequest(["warm"])], [HookRequest(["bye"], 1.0)])
PATIENCE_S = 3.0  # a client gives up this long after the node should have


class Workload:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world: World = cluster.world
        self.history: list[Op] = []
        self._mean_pause_s = self.world.rng("workload").choice(MEAN_PAUSES_S)
        self.deployers = int(self.world.rng("deploys").random() < DEPLOYS or is_volumed(self.world))
        self.with_kinds = self.world.rng("kinds").random() < SHARE
        self.with_order = self.world.rng("ordered").random() < ORDERED
        self._over = False
        self._eager = self.world.rng("eager readers").random() < EAGER
        self._asked = 0
        # Of most seeds no task has rules: what they find is found as before.
        self._rules = self.world.rng("rules") if self.world.rng("with rules").random() < 0.25 else None
        self._runners: list[asyncio.Task] = []
        self._made = 0
        self._kinds = KindsClient(cluster)
        self._ordered = OrderedClient(cluster)
        self._network = NetworkClient(cluster)
        self._volumes = VolumeClient(cluster)
        self._storage = StorageClient(cluster)

    def begin(self) -> None:
        for number in range(CLIENTS):
            self._runners.append(self.world.spawn(self._client(number), name=f"client-{number}"))
        for number in range(CLIENTS, CLIENTS + CONFIG_CLIENTS):
            self._runners.append(self.world.spawn(self._config_client(number), name=f"client-{number}"))
        jobs = JobsWorkload(self.world, self.cluster)
        for number in range(self.deployers):
            self._runners.append(self.world.spawn(jobs.client(number, lambda: self._over), name="jobs-client"))
        if self.with_kinds:
            self._runners.append(self.world.spawn(self._kinds.run(), name=f"client-{CLIENTS + CONFIG_CLIENTS}"))
        if self.with_order:
            self._runners.append(self.world.spawn(self._ordered.run(), name="ordered-client"))
        if is_networked(self.world):
            self._runners.append(self.world.spawn(self._network.run(), name="network-client"))
        if is_volumed(self.world):
            self._runners.append(self.world.spawn(self._volumes.run(), name="volume-client"))
        if makes_volumes(self.world):
            self._runners.append(self.world.spawn(self._storage.run(), name="storage-client"))

    async def end(self) -> None:
        """No new operation begins; returns when those under way have ended."""
        self._over = self._kinds.over = self._ordered.over = self._network.over = self._volumes.over = True
        self._storage.over = True
        for runner in self._runners:
            await runner

    def on_leader(self, machine: Machine) -> None:
        """It leads from this moment on, and may not know yet all that the one before had acknowledged."""
        if self._eager and not self._over:
            number, self._asked = EAGER_READERS + self._asked, self._asked + 1
            reader = self._list(number, machine, self.world.rng("client", number))
            self._runners.append(self.world.spawn(reader, name=f"client-{number}"))

    async def _client(self, number: int) -> None:
        rng = self.world.rng("client", number)
        while not self._over:
            await asyncio.sleep(rng.expovariate(1 / self._mean_pause_s))
            machine = rng.choice(list(self.cluster.machines.values()))
            draw = rng.random()
            if draw < 0.4:
                await self._create(number, machine, rng)
            elif draw < 0.55:
                name = await self._change("delete", number, machine, rng)
                if name and rng.random() < AT_ONCE:  # while its containers end
                    await self._create(number, machine, rng, name)
            elif draw < 0.62:
                name = await self._change("stop", number, machine, rng)
                if name and rng.random() < AT_ONCE:
                    await self._change("start", number, machine, rng, name)
            elif draw < 0.67:
                await self._change("start", number, machine, rng)
            elif draw < 0.9:
                await self._list(number, machine, rng)
            else:
                await self._look(machine, rng)

    async def _config_client(self, number: int) -> None:
        rng = self.world.rng("client", number)
        while not self._over:
            await asyncio.sleep(rng.expovariate(1 / self._mean_pause_s))
            machine = rng.choice(list(self.cluster.machines.values()))
            draw = rng.random()
            if draw < 0.45:
                await self._put_config(number, machine, rng)
            elif draw < 0.6:
                await self._delete_config(number, machine, rng)
            elif draw < 0.9:
                await self._get_config(number, machine, rng)
            else:
                await self._list_configs(number, machine, rng)

    # --- operations on tasks ------------------------------------------------------------------------------

    async def _create(self, client: int, machine: Machine, rng: random.Random, name: str = "") -> None:
        name, request = self._request(rng, name)
        op = self._begin(client, "create", name)
        stays = request.image == FOREVER and request.restart_policy == "always"
        op.value = STAYS if stays else ENDS
        timeout_s, wait_s = rng.choice((2.0, 10.0)), rng.choice((0.0, 0.0, 5.0))
        key = f"key-{self._made}" if rng.random() < 0.3 else ""
        await self._do(
            op,
            machine,
            timeout_s + wait_s,
            lambda s: s.create_task(request, idempotency_key=key, timeout_s=timeout_s, wait_running_s=wait_s),
        )

    def _request(self, rng: random.Random, name: str = "") -> tuple[str, TaskRequest]:
        self._made += 1
        name = name or (f"t{rng.randrange(NAMES)}" if rng.random() < 0.5 else f"u{self._made}")
        ports = {}
        if rng.random() < 0.35:
            ports["80/tcp"] = rng.choice((*STATIC_PORTS, ""))
        if rng.random() < 0.1:
            ports["53/udp"] = rng.choice((*STATIC_PORTS, ""))
        request = TaskRequest(
            image=rng.choice((*[FOREVER] * 12, *[SUCCEEDS] * 3, *[CRASHES] * 2, MISSING)),
            name=name,
            memory=rng.choice((0, 64, 256, 900, 5_000)) * MIB,
            cpu=rng.choice((0.0, 0.5, 1.5)),
            node_selectors={"zone": rng.choice("ab")} if rng.random() < 0.1 else {},
            port_bindings=ports,
            restart_policy=rng.choice(("on-failure", "on-failure:2", "always", "no")),
            stop_grace_seconds=rng.choice((0.5, 2.0)),
            health_check=self._health_check(rng) if rng.random() < 0.4 else None,
            hooks=HOOKS if rng.random() < 0.15 else None,
            drain_seconds=rng.choice((None, None, 0.0, 1.0)),
            placement=self._placement(name),
            priority=self._rules.choice((0, 0, -5, 7)) if self._rules else 0,
        )
        return name, request

    def _health_check(self, rng: random.Random) -> HealthCheckRequest:
        http = rng.random() < 0.7
        check = HealthCheckRequest(
            http=HttpCheckRequest(80) if http else None,
            exec=None if http else ExecCheckRequest(["well?"]),
            interval_seconds=rng.choice((0.2, 1.0)),
            timeout_seconds=rng.choice((0.2, 1.0)),
            retries=rng.choice((1, 3)),
            start_period_seconds=rng.choice((0.0, 2.0)),
        )
        # No choice of its own: seeds that are known to find something go on doing so.
        return (
            replace(check, on_unhealthy="replace") if check.retries == 1 and check.interval_seconds < 1 else check
        )

    def _placement(self, name: str) -> PlacementRequest:
        rng = self._rules
        if rng is None or rng.random() < 0.4:
            return PlacementRequest()
        beside = f"t{rng.randrange(NAMES)}"
        return PlacementRequest(
            constraints=rng.sample(CONSTRAINTS, rng.choice((0, 1, 1, 2))),
            affinities=[AffinityRequest("zone=a", rng.choice((-20, 80)))] if rng.random() < 0.3 else [],
            spread_over="zone" if rng.random() < 0.2 else "",
            max_per_node=rng.choice((0, 0, 1)),
            distinct_hosts=rng.random() < 0.1,
            alongside=beside if rng.random() < 0.3 and beside != name else None,
        )

    async def _change(self, kind: str, client: int, machine: Machine, rng: random.Random, name: str = "") -> str:
        """Delete, stop or start a task that somebody wanted to create; its name, "" when there is none."""
        made = sorted({op.key for op in self.history if op.kind == "create"})
        if not made:
            return ""
        name = name or rng.choice(made)
        op = self._begin(client, kind, name)
        timeout_s = rng.choice((2.0, 10.0))
        await self._do(op, machine, timeout_s, lambda s: _CHANGES[kind](s, name, timeout_s))
        return name

    async def _list(self, client: int, machine: Machine, rng: random.Random) -> None:
        op = self._begin(client, "list", "")
        timeout_s = rng.choice((2.0, 10.0))
        await self._do(op, machine, timeout_s, lambda s: s.tasks(Read(timeout_s=timeout_s)))

    async def _look(self, machine: Machine, rng: random.Random) -> None:
        """Questions, and labels, whose answers are not held against anybody; they must only not break."""
        read = Read(stale=rng.random() < 0.5, timeout_s=2.0)
        labels = {"zone": rng.choice(("a", "b", None))}
        name = rng.choice(list(self.cluster.machines.values())).name
        job = f"t{rng.randrange(NAMES)}"
        question = rng.choice(
            (
                lambda s: s.nodes(read),
                lambda s: s.tasks(read),
                lambda s: s.raft(),
                lambda s: s.endpoints.find(job, read, everything=read.stale),
                lambda s: _first(s.endpoints.watch(job)),
                lambda s: s.label_node(name, labels, timeout_s=2.0),
                _health,
            )
        )
        try:
            async with asyncio.timeout(5.0 + PATIENCE_S):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError):
            self.world.count("client: look failed")

    # --- operations on configs ----------------------------------------------------------------------------

    async def _put_config(self, client: int, machine: Machine, rng: random.Random) -> None:
        self._made += 1
        key, value = rng.choice(CONFIGS), b"value %d" % self._made
        if folder := self._made % 5 == 0:
            value = write_folder([Entry("a/b", content=value)])
        if_version = self._version(key, rng) if rng.random() < 0.5 else None
        op = self._begin(client, "put", key)
        op.value, op.if_version = value, if_version
        timeout_s = rng.choice((2.0, 10.0))
        await self._do(
            op,
            machine,
            timeout_s,
            lambda s: s.configs.put(
                key, value, if_version=if_version, idempotency_key="", timeout_s=timeout_s, folder=folder
            ),
        )

    async def _delete_config(self, client: int, machine: Machine, rng: random.Random) -> None:
        key = rng.choice(CONFIGS)
        if_version = (self._version(key, rng) or None) if rng.random() < 0.5 else None
        op = self._begin(client, "drop", key)
        op.if_version = if_version
        timeout_s = rng.choice((2.0, 10.0))
        await self._do(
            op,
            machine,
            timeout_s,
            lambda s: s.configs.delete(key, if_version=if_version, idempotency_key="", timeout_s=timeout_s),
        )

    async def _get_config(self, client: int, machine: Machine, rng: random.Random) -> None:
        key, timeout_s = rng.choice(CONFIGS), rng.choice((2.0, 10.0))
        op = self._begin(client, "get", key)
        await self._do(op, machine, timeout_s, lambda s: s.configs.get(key, Read(timeout_s=timeout_s)))

    async def _list_configs(self, client: int, machine: Machine, rng: random.Random) -> None:
        op, timeout_s = self._begin(client, "ls", ""), rng.choice((2.0, 10.0))
        await self._do(op, machine, timeout_s, lambda s: s.configs.find("", Read(timeout_s=timeout_s)))

    def _version(self, key: str, rng: random.Random) -> int:
        """One that somebody was told lately, so that compares hold about as often as not; 0 at times."""
        told = [op.version for op in self.history[-60:] if op.key == key and op.version is not None]
        return rng.choice(told[-2:]) if told and rng.random() < 0.8 else 0

    async def look(self, kind: str, machine: Machine, question: Callable[[Service], Awaitable[Any]]) -> None:
        """A list that has to be answered. Raises what the node does."""
        op = self._begin(CHECKER, kind, "")
        outcome = _note(op, await machine.ask(question))
        self._end(op, machine, outcome)

    # --- one operation ------------------------------------------------------------------------------------

    def _begin(self, client: int, kind: str, key: str) -> Op:
        op = Op(client, kind, key, self.world.loop.now_ns)
        self.history.append(op)
        return op

    async def _do(
        self, op: Op, machine: Machine, timeout_s: float, question: Callable[[Service], Awaitable[Any]]
    ) -> None:
        try:
            async with asyncio.timeout(timeout_s + PATIENCE_S):
                result = await machine.ask(question)
        except Conflict:
            self._end(op, machine, "conflict")
        except NotFound:
            self._end(op, machine, "not found")
        except (ConnectionRefused, TooNew):
            self.history.remove(op)
        except (Unavailable, ConnectionLost):
            self._end(op, machine, "unknown")
        except TimeoutError:
            if machine.node is not None:  # it lives and is not stalled, yet has not kept to the deadline
                self.world.count("client: node overran the deadline")
            self._end(op, machine, "unknown")
        except (Refused, Invalid) as error:
            self.world.fail("good requests are taken", f"{op.kind} {op.key}: {error.detail}")
        else:
            self._end(op, machine, _note(op, result))

    def _end(self, op: Op, machine: Machine, outcome: str) -> None:
        op.outcome = outcome
        if outcome != "unknown":
            op.end_ns = self.world.loop.now_ns
        self.world.count(f"client: {op.kind} {outcome}")
        self.world.trace(f"client{op.client}", f"{op.kind} {op.key} at {machine.name}: {outcome} {op.index}")


_CHANGES: dict[str, Callable[[Service, str, float], Awaitable[TaskView]]] = {
    "delete": lambda service, name, timeout_s: service.delete_task(name, timeout_s=timeout_s),
    "stop": lambda service, name, timeout_s: service.stop_task(name, timeout_s=timeout_s),
    "start": lambda service, name, timeout_s: service.start_task(name, timeout_s=timeout_s),
}


def _note(op: Op, result: Any) -> str:
    """What the answer says, into `op`; the outcome."""
    match op.kind:
        case "list":
            tasks = [task for task in result.rows(TaskView) if not task.name.startswith(PREFIX)]
            op.index = result.index
            op.names = frozenset(task.name for task in tasks)
            op.stopped = frozenset(task.name for task in tasks if task.stopped)
        case "ls":
            op.index = result.index
            op.versions = {config.key: config.version for config in result.rows(ConfigView)}
        case "get":
            config, op.index = result
            if config is None:
                return "not found"
            op.value, op.version = config.value, config.stat.version
        case "put" | "drop":
            op.version = result[0].version
    return "ok"


async def _first(lists: AsyncGenerator[bytes, None]) -> bytes:
    async with contextlib.aclosing(lists):
        return await anext(lists)


async def endpoints_of(service: Service, job: str, read: Read) -> list[EndpointView]:
    return (await service.endpoints.find(job, read)).rows(EndpointView)


async def _health(service: Service) -> object:
    service.metrics()
    return service.health()
