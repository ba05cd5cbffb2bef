"""The GuardKernel port: the simulator's (tests/sim/test_sim_contracts.py) and the kernel's."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from orion.adapters.guard import KernelGuard
from orion.model.guard import Guard, GuardNetwork, GuardRules
from orion.ports.guard import GuardKernel
from support.namespaces import inside, namespaces, run_in, run_ip

DEADLINE_S = 10.0
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
    """`guard` is that of another process each time; `flush` is somebody else's."""

    def guard(self) -> GuardKernel:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        async def within() -> None:
            async with asyncio.timeout(DEADLINE_S):
                await check()

        asyncio.run(within())


class GuardContract:
    def test_after_apply_the_kernel_is_as_the_rules_say_for_another_process_too(self, bench: GuardBench) -> None:
        async def check() -> None:
            for rules in (RULES, *OTHERS, RULES):
                await bench.guard().apply(rules)
                assert await bench.guard().matches(rules)
                for other in (RULES, *OTHERS):
                    assert await bench.guard().matches(other) is (other == rules)

        bench.run(check)

    def test_at_first_and_after_removal_nothing_is_guarded(self, bench: GuardBench) -> None:
        async def check() -> None:
            assert await bench.guard().matches(NONE)
            await bench.guard().apply(RULES)
            await bench.guard().remove()
            await bench.guard().remove()
            assert not await bench.guard().matches(RULES)
            await bench.guard().apply(NONE)
            assert await bench.guard().matches(NONE)

        bench.run(check)

    def test_what_somebody_else_takes_away_is_told_and_seen(self, bench: GuardBench) -> None:
        async def check() -> None:
            guard = bench.guard()
            await guard.apply(RULES)
            changes = guard.changes()
            await anext(changes)
            bench.flush()
            await anext(changes)
            await changes.aclose()
            assert not await guard.matches(RULES)
            await guard.apply(RULES)
            assert await guard.matches(RULES)

        bench.run(check)


class KernelBench(GuardBench):
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def guard(self) -> KernelGuard:
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
