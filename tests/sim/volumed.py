"""Volumes under the same faults: clients whose jobs have some, that move them and remove them; and what must hold.

A volume with data has one home, and another one only by a move. A task that has volumes is where all of them are.
Of a slot no two containers that may write to its volume run at a time on its home. At rest nothing moves, and
nothing waits that could run.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from orion.model.api.volume_fields import VolumeRequest
from orion.model.container import ContainerState
from orion.model.errors import OrionError
from orion.model.ids import NodeId
from orion.node.services.service import Service
from orion.state.tables import State
from orion.state.tables.volumes import Volumes
from sim.cluster import Cluster, ConnectionLost, Machine
from sim.world import World

SHARE = 0.3  # of the seeds have it
NAMES = ("data", "logs")
ONE_WRITER = "one writer of a slot's volume"
ONE_HOME = "a volume with data stays where it is"
AT_HOME = "a task is where its volumes are"


def is_volumed(world: World) -> bool:
    return world.rng("volumed").random() < SHARE


def volumes_of_a_job(rng: random.Random) -> list[VolumeRequest]:
    kinds = (
        [],
        [VolumeRequest("/data", "data")],
        [VolumeRequest("/data", "data", per_slot=True)],
        [VolumeRequest("/data", "data"), VolumeRequest("/logs", "logs", per_slot=True)],
        [VolumeRequest("/data", "data", read_only=True)],
        [VolumeRequest("/srv", source="/srv")],
    )
    return list(rng.choice(kinds))


class VolumeClient:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world: World = cluster.world
        self.over = False

    async def run(self) -> None:
        rng = self._world.rng("volume client")
        while not self.over:
            machines = list(self._cluster.machines.values())
            kind, question = self._question(rng, rng.choice(machines))
            done = await self._ask(rng.choice(machines), question)
            self._world.count(f"client: volume {kind} {'ok' if done else 'failed'}")
            await asyncio.sleep(rng.expovariate(1 / 1.0))

    def _question(self, rng: random.Random, to: Machine) -> tuple[str, Callable[[Service], Awaitable[object]]]:
        name = rng.choice(NAMES)
        if rng.random() < 0.4:
            name = f"{name}-{rng.randrange(4)}"
        draw = rng.random()
        if draw < 0.65:
            target = NodeId(to.name)
            return "move", lambda s: s.volumes.move(name, target, cancel=False, idempotency_key="", timeout_s=2.0)
        if draw < 0.75:
            return "cancel", lambda s: s.volumes.move(
                name, NodeId(""), cancel=True, idempotency_key="", timeout_s=2.0
            )
        if draw < 0.9:
            return "remove", lambda s: s.volumes.remove(name, force=False, idempotency_key="", timeout_s=2.0)
        return "create", lambda s: s.volumes.create(name, {}, idempotency_key="", timeout_s=2.0)

    @staticmethod
    async def _ask(machine: Machine, question: Callable[[Service], Awaitable[object]]) -> bool:
        try:
            async with asyncio.timeout(15.0):
                await machine.ask(question)
        except (OrionError, ConnectionLost, TimeoutError):
            return False
        return True


class VolumeWatch:
    """The homes of volumes after each entry, and what runs on which data meanwhile."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._cluster = cluster
        self._world = world
        self._rows: dict[str, object] = {}

    def look(self, state: State) -> None:
        rows = rows_of(state)
        for name, former in self._rows.items():
            row = rows.get(name)
            if row is not None and row is not former and row.system is None:
                self._check_change(former, row)
        self._rows = dict(rows)
        if rows:
            self._check_tasks(state, rows)
            self._check_containers(state, rows)

    def _check_change(self, former, row) -> None:
        if not former.data or row.created_index != former.created_index:
            return
        moved = former.moving_to == row.home and row.data == former.next_data
        if moved:
            self._world.count("volume moved")
        if not moved and (row.home, row.data) != (former.home, former.data):
            self._world.fail(ONE_HOME, f"{former} became {row}")

    def _check_tasks(self, state: State, rows) -> None:
        writers: dict[tuple[str, int], object] = {}
        for held in state.allocations.values():
            if held.terminal:
                continue
            spec = state.jobs[held.job].spec(held.job_version)
            if any(mount.name and not mount.read_only for mount in spec.volumes):
                other = writers.setdefault((held.job, held.index), held)
                if other is not held:
                    self._world.fail(ONE_WRITER, f"{other} and {held}")
            for name in spec.volume_names(held.index):
                self._world.count("volume in use")
                row = rows.get(name)
                if row is not None and row.system is not None and not row.system.access.one_node:
                    continue
                if row is None or row.home != held.node or (row.moving_to and held.wanted):
                    self._world.fail(AT_HOME, f"{held} has {row}")

    def _check_containers(self, state: State, rows) -> None:
        """Of what runs on any machine, whoever knows of it."""
        writers: dict[tuple[str, str, int], str] = {}
        for engine in self._cluster.engines.values():
            for held in engine.containers.values():
                if held.shown.state is not ContainerState.RUNNING:
                    continue
                labels = held.shown.labels
                for mount in engine.mounts.get(held.shown.id, ()):
                    key = mount.source.rstrip("/").rpartition("/")[2]
                    if mount.read_only or mount.source == "/srv":
                        continue
                    other = writers.setdefault((key, labels.job, labels.index), held.name)
                    if other != held.name and self._is_one_machine(engine, held, other):
                        self._world.fail(ONE_WRITER, f"{other} and {held.name} have {key}")

    @staticmethod
    def _is_one_machine(engine, held, other: str) -> bool:
        """Returns whether both have the same directory: a node that was away may go on with its own."""
        first = next((each for each in engine.containers.values() if each.name == other), None)
        return first is not None and first.shown.labels.node == held.shown.labels.node


def rows_of(state: State):
    """By name: where two builds are in one cluster, the state may be of the other's classes."""
    return next(table.rows for kind, table in state.tables.items() if kind.__name__ == Volumes.__name__)


def volumes_admit(state: State, record, index: int, node) -> bool:
    """Returns whether a slot's task may go to a node for its volumes, worked out from all there is."""
    spec = record.spec(record.version(index))
    for name in spec.volume_names(index):
        row = rows_of(state).get(name)
        if row is None:
            continue
        if row.system is not None and not _system_admits(state, row, node):
            return False
        at_home = row.data and row.system is None
        if row.moving_to or (row.home not in ("", node) and (at_home or _held(state, row))):
            return False
    return True


def _system_admits(state: State, row, node) -> bool:
    """Returns whether a storage system's volume is made, and can come to a node."""
    plugin = state.nodes[node].plugin(row.driver)
    return bool(row.data) and not row.system.removing and plugin is not None and plugin.node


def _held(state: State, row) -> bool:
    return any(
        not held.terminal
        and held.node == row.home
        and row.name in state.jobs[held.job].spec(held.job_version).volume_names(held.index)
        for held in state.allocations.values()
    )


def volumes_unrest(state: State) -> str:
    moving = [row for row in rows_of(state).values() if row.moving_to]
    return f"{moving[0].name} is on its way to {moving[0].moving_to}" if moving else ""


def lacks_data(cluster: Cluster, state: State, allocation) -> bool:
    """Returns whether a task can't start, because a disk with its volume is gone."""
    spec = state.jobs[allocation.job].spec(allocation.job_version)
    machine = cluster.machines.get(str(allocation.node))
    rows = (rows_of(state).get(name) for name in spec.volume_names(allocation.index))
    disk = machine.volumes.data if machine is not None else {}
    return any(row and row.data and row.system is None and disk.get(row.key) != row.data for row in rows)
