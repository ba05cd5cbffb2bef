"""The simulator's ports against the same suites as the real adapters."""

import pytest

from contract.test_engine import CRASHES as CONTRACT_CRASHES
from contract.test_engine import FOREVER as CONTRACT_FOREVER
from contract.test_engine import SUCCEEDS as CONTRACT_SUCCEEDS
from contract.test_engine import EngineAbsence, EngineContract
from orion.model.job import TaskSpec
from sim.engine import CRASHES, FOREVER, MISSING, SUCCEEDS, SimEngine, SimEngineClient
from sim.loop import Process
from sim.world import World

IMAGES = {CONTRACT_FOREVER: FOREVER, CONTRACT_SUCCEEDS: SUCCEEDS, CONTRACT_CRASHES: CRASHES}


class SimEngineBench:
    missing_image = MISSING

    def __init__(self):
        self.world = World(1)
        self.world.install()
        self.engine = SimEngine(self.world, "e")
        self.engine.images.update(dict.fromkeys(IMAGES.values()))
        self._clusters = 0
        self._ports = 20_000

    def run(self, check):
        try:
            self.world.loop.run_until_complete(check())
        finally:
            self.world.loop.close()

    def adapter(self):
        return SimEngineClient(self.engine, Process(self.world.loop, "p"))

    def spec(self, kind):
        return TaskSpec(IMAGES[kind])

    def new_cluster(self):
        self._clusters += 1
        return self._clusters

    def free_port(self):
        self._ports += 1
        return self._ports

    async def go_down(self):
        self.engine.go_down(containers_die=True)

    async def come_up(self):
        self.engine.come_up()


class TestSimEngine(EngineContract, EngineAbsence):
    @pytest.fixture
    def bench(self):
        return SimEngineBench()
