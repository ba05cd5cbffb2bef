"""The keeper of one machine, a process beside the node's: it ends containers whose time was not renewed. It knows
the engine alone, and outlives the node's process, not a loss of power.
"""

import random
from collections.abc import Callable, Collection, Mapping

import msgspec

from orion.model.container import EndCause
from orion.model.ids import AllocationId
from orion.ports.keeper import KeeperFailed
from sim.engine import OBEYS, Held, SimEngine
from sim.loop import Process
from sim.mounts import aside
from sim.world import SimClock, World

LOOK_MS = 100.0
GRACE_MS = 3_000.0  # from the signal to the end
AGAIN_MS = 1_000
LOOKS = 60  # after which a container that was on its way has come, or never does


class Watched(msgspec.Struct):
    until_ms: int
    looks: int = 0


class MachineKeeper:
    """`until_ms` are of the machine's clock. `deaf`: it can't be told anything just now."""

    def __init__(self, world: World, name: str, engine: SimEngine, clock: SimClock) -> None:
        self.world = world
        self.name = name
        self.watched: dict[AllocationId, Watched] = {}
        self.deaf = False
        self._engine = engine
        self._clock = clock
        self._rng: random.Random = world.rng("keeper", name)
        self._looks = False

    def tell(self, until_ms: Mapping[AllocationId, int], ended: Collection[AllocationId]) -> None:
        if self.deaf:
            raise KeeperFailed("the keeper could not be told what to watch")
        for each, time_ms in until_ms.items():
            self.watched[each] = Watched(time_ms)
        for each in ended:
            self.watched.pop(each, None)
        if not self._looks:
            self._look()

    def end(self) -> None:
        self.watched.clear()

    def _look(self) -> None:
        self._looks = bool(self.watched)
        for allocation, each in list(self.watched.items()):
            if each.until_ms <= self._clock.now_ms():
                self._end_all(allocation, each)
        if self._looks:
            self.world.after(LOOK_MS, self._look)

    def _end_all(self, allocation: AllocationId, each: Watched) -> None:
        each.until_ms = self._clock.now_ms() + AGAIN_MS
        if self._engine.down:
            return
        for held in self._engine.running():
            if held.shown.labels.allocation == allocation:
                self.world.count("keeper ends a container")
                self.world.trace(self.name, f"keeper ends {held.name}")
                wait_ms = self._rng.uniform(5, 200) if self._rng.random() < OBEYS else GRACE_MS
                self.world.after(wait_ms, self._end, held, held.runs)
        each.looks += 1
        if each.looks >= LOOKS:
            del self.watched[allocation]

    def _end(self, held: Held, run: int) -> None:
        if held.runs == run:
            self._engine.end(held, 137, "", EndCause.TOLD)


class SimKeeper:
    """Fulfils ports.Keeper for one process."""

    def __init__(self, keeper: MachineKeeper, process: Process, rng: random.Random) -> None:
        self._keeper = keeper
        self._process = process
        self._rng = rng

    async def renew(self, until_ms: Mapping[AllocationId, int], ended: Collection[AllocationId] = ()) -> None:
        told: Callable[[], None] = lambda: self._keeper.tell(until_ms, ended)  # noqa: E731
        await aside(self._process, [(self._rng.uniform(0.2, 5), told)])
