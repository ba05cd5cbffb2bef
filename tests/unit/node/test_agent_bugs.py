"""A bug that one allocation meets is that allocation's trouble; an assertion is the node's."""

import asyncio

import pytest
from agent_kit import Bench, run

from orion.model.errors import EngineError
from sim.engine import SimEngineClient
from sim.world import World

BUG = "a bug in Orion (KeyError: 'Id'), of which this node's log has more"


class Buggy(SimEngineClient):
    """Raises `error` at each call named in `at`, for the first container that was made."""

    def __init__(self, engine, process):
        super().__init__(engine, process)
        self.at: set[str] = set()
        self.error = KeyError("Id")
        self.first = ""

    def _meet(self, call, container):
        if call in self.at and container in ("", self.first):
            raise self.error

    async def create(self, *args, **named):
        self._meet("create", self.first)
        made = await super().create(*args, **named)
        self.first = self.first or made
        return made

    async def start(self, container):
        self._meet("start", container)
        await super().start(container)

    async def stop(self, container, grace_ms):
        self._meet("stop", container)
        await super().stop(container, grace_ms)

    async def remove(self, container):
        self._meet("remove", container)
        await super().remove(container)

    async def logs(self, container, query):
        self._meet("logs", container)
        async for piece in super().logs(container, query):
            yield piece


def reasons(bench, identity):
    return [status.reason for allocation, status in bench.reports if allocation == identity and status.reason]


@pytest.mark.parametrize("at", ["create", "start"])
def test_while_it_starts(at, caplog):
    async def main(bench):
        bench.client.at = {at}
        web = bench.assign()
        await bench.until(lambda: any(BUG in r for r in reasons(bench, web)))
        assert not bench.running(web)
        bench.client.at = set()
        other = bench.assign(2)
        await bench.until(lambda: bench.running(other) and bench.running(web))

    run(main, engine_client=Buggy)
    assert "KeyError" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("at", "says"), [("stop", "can't be stopped"), ("remove", "can't be removed")])
def test_while_it_ends(at, says):
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.client.at = {at}
        bench.unwant(web)
        await bench.until(lambda: any(says in r and BUG in r for r in reasons(bench, web)))
        other = bench.assign(2)
        await bench.until(lambda: bench.running(other), 5)
        bench.client.at = set()
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"], 60)

    run(main, engine_client=Buggy)


def test_while_its_last_words_are_asked_for():
    async def main(bench):
        bench.client.at = {"logs"}
        bench.engine.images["crash"] = None
        web = bench.assign(image="crash")
        await bench.until(lambda: any("exit code 1" in r for r in reasons(bench, web)))

    run(main, engine_client=Buggy)


def test_an_engine_that_can_t_say_what_it_is_is_called_down():
    class Confused(SimEngineClient):
        async def info(self):
            raise EngineError("open /proc/meminfo: too many open files")

    async def main(bench):
        await bench.until(bench.agent.asked.is_set)
        assert bench.agent.engine_info is None
        assert "too many open files" in bench.agent.engine_down

    run(main, engine_client=Confused)


def test_an_assertion_is_no_allocation_s_trouble():
    world = World(1)
    world.install()

    async def main():
        bench = Bench(world, engine_client=Buggy)
        bench.client.at, bench.client.error = {"start"}, AssertionError("this can't be")
        runner = bench.start()
        bench.assign()
        with pytest.raises(BaseExceptionGroup) as raised:
            async with asyncio.timeout(30):
                await runner
        assert raised.group_contains(AssertionError, match="this can't be")

    try:
        world.loop.run_until_complete(main())
    finally:
        world.loop.close()
