"""What an agent tells of its runs where its engine is slow, or breaks off what it was about to do."""

import asyncio

from agent_kit import run

from orion.model.container import ContainerState
from orion.model.errors import EngineDown
from orion.model.health import CheckKind, Health, HealthCheck
from orion.model.job import RestartMode, RestartPolicy
from orion.node.agent.reports import LAST_WORDS_TIMEOUT_S, TELL_AGAIN_MS
from sim.engine import SimEngineClient

CRASH = "crash"


class SlowWords(SimEngineClient):
    """Each log is 3 s in coming."""

    async def logs(self, container, query):
        await asyncio.sleep(3)
        async for entries in super().logs(container, query):
            yield entries


def test_that_a_run_has_ended_is_told_before_its_last_words_are_there():
    async def main(bench):
        bench.engine.images[CRASH] = None
        web = bench.assign(image=CRASH)
        await bench.until(lambda: "running" in bench.states(web))
        await bench.until(lambda: bench.held(web).shown.state is ContainerState.EXITED)
        ended_ms = bench.world.now_ms

        def ends():
            return [status for _, status in bench.reports if status.exit_code is not None]

        await bench.until(ends)
        assert bench.world.now_ms - ended_ms < 2_000
        assert ends()[0].reason == "restarting after exit code 1"
        await bench.until(lambda: len(ends()) == 2)
        assert ends()[1].reason == "restarting after exit code 1: a line of output"
        assert [status.state for status in ends()] == ["starting", "starting"]

    run(main, engine_client=SlowWords)


def test_words_that_come_soon_are_told_with_the_end():
    async def main(bench):
        bench.engine.images[CRASH] = None
        web = bench.assign(image=CRASH)
        await bench.until(lambda: bench.states(web).count("running") == 3, seconds=120)
        ends = [status.reason for _, status in bench.reports if status.exit_code is not None]
        assert len(ends) == 2
        assert set(ends) == {"restarting after exit code 1: a line of output"}

    run(main, engine_client=SimEngineClient)


class BreaksOff(SimEngineClient):
    """Once an engine's error ends all that the agent is about to do, while a log is asked for."""

    broken = failed = False

    async def logs(self, container, query):
        if not self.broken:
            self.broken = True
            await asyncio.sleep(LAST_WORDS_TIMEOUT_S * 2)
        async for entries in super().logs(container, query):
            yield entries

    async def start(self, container):
        if self.broken and not self.failed:
            self.failed = True
            raise EngineDown("did not answer within 60 s")
        await super().start(container)


def test_an_end_that_an_error_of_the_engine_kept_from_being_told_is_told_at_once():
    async def main(bench):
        bench.engine.images[CRASH] = None
        web = bench.assign(image=CRASH, restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: bench.client.broken)
        began_ms = bench.world.now_ms
        bench.assign(2)
        await bench.until(lambda: bench.states(web)[-1:] == ["failed"])
        assert bench.world.now_ms - began_ms < TELL_AGAIN_MS / 2

    run(main, engine_client=BreaksOff)


class Errs(SimEngineClient):
    """Each first start of a container is an error that has the agent look at all again."""

    async def start(self, container):
        if self.engine.containers[container].shown.labels.allocation > 1:
            raise EngineDown("did not answer within 60 s")
        await super().start(container)


def test_checks_keep_their_interval_over_errors_of_the_engine():
    """Two failures at a moment's distance are one."""
    check = HealthCheck(CheckKind.TCP, port=80, interval_ms=60_000, timeout_ms=200, retries=2)

    async def main(bench):
        web = bench.assign(1, health=check)

        def healths():
            return [status.health for allocation, status in bench.reports if allocation == web]

        await bench.until(lambda: Health.HEALTHY in healths())
        bench.engine.ill.add(bench.held(web).shown.id)
        bench.assign(2)
        bench.assign(3)
        began_ms = bench.world.now_ms
        await bench.until(lambda: Health.UNHEALTHY in healths(), seconds=600)
        assert bench.world.now_ms - began_ms > 60_000

    run(main, engine_client=Errs)
