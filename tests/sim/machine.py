"""The Machine port: use that wanders a little, and randomness from the seed."""

from collections.abc import Callable

from orion.model.resources import MIB
from orion.ports.machine import Usage
from sim.world import World


class SimMachine:
    """`run` counts the processes on this machine: each draws other numbers, as real ones would."""

    def __init__(self, world: World, name: str, run: int, interfaces: Callable[[], list[str]]) -> None:
        self.interfaces = interfaces
        self._rng = world.rng("machine", name, run)
        self._usage_rng = world.rng("usage", name, run)

    def usage(self) -> Usage:
        return Usage(self._usage_rng.uniform(0, 2), self._usage_rng.randrange(100 * MIB, 900 * MIB))

    def random_bits(self, bits: int) -> int:
        return self._rng.getrandbits(bits)
