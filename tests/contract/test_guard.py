"""The GuardKernel port: the simulator's (tests/sim/test_sim_contracts.py) and the kernel's."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from contract.kernel_part import KernelPartContract
from orion.adapters.guard import KernelGuard
from orion.model.guard import Guard, GuardNetwork, GuardRules
from orion.ports.guard import GuardKernel
from support.namespaces import inside, namespaces, run_in, run_ip

FIRST = 10 << 24 | 200 << 16 | 1 << 8
NETWORK = GuardNetwork("orion0", "orion.vx")
RULES = GuardRules("10.200.0.0/16", (NETWORK,), (Guard((FIRST + 2,), (FIRST + 2, FIRST + 9)),))
NONE = msgspec.structs.replace(RULES, guards=())
OTHERS = (
    NONE,
    msgspec.structs.replace(RULES, guards=(Guard((FIRST + 2,), (FIRST + 2,)),)),
    msgspec.structs.replace(RULES, guards=(Guard((FIRST + 3,), (FIRST + 2, FIRST + 9)),)),
    msgspec.structs.replace(RULES, guards=(*RULES.guards, Guard((FIRST + 3,), (FIRST + 3,)))),
)


class GuardBench:
    """`part` is that of another process each time; `flush` is somebody else's."""

    def part(self) -> GuardKernel:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def harms(self) -> tuple[Callable[[], None], ...]:
        return (self.flush,)

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        async def within() -> None:
            async with asyncio.timeout(120):  # a check of all rules begins many processes, one after the other
                await check()

        asyncio.run(within())


class GuardContract(KernelPartContract):
    rules, others, none = RULES, OTHERS, NONE


class KernelBench(GuardBench):
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def part(self) -> KernelGuard:
        return KernelGuard()

    def flush(self) -> None:
        run_in(self._namespace, "nft", "flush", "ruleset")

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        with inside(self._namespace):
            super().run(check)


@pytest.mark.root
class TestKernelGuard(GuardContract):
    @pytest.fixture
    def bench(self):
        with namespaces("h1") as names:
            run_ip(names["h1"], "link add orion0 type bridge")
            yield KernelBench(names["h1"])
