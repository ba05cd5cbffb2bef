"""What an engine that refuses to stop or to remove a container is told, how often, and whom it concerns."""

import asyncio

from agent_kit import run

from orion.model.errors import EngineError
from sim.engine import SimEngineClient

REFUSED = "tried to kill container, but did not receive an exit event"


class Stubborn(SimEngineClient):
    """Refuses, while `stubborn`, and counts how often it was asked. A pull takes 5 s."""

    def __init__(self, engine, process):
        super().__init__(engine, process)
        self.stubborn = True
        self.stops = self.removals = self.pulls = 0

    async def stop(self, container, grace_ms):
        self.stops += 1
        if self.stubborn:
            raise EngineError(REFUSED)
        await super().stop(container, grace_ms)

    async def pull(self, image, progress):
        self.pulls += 1
        await asyncio.sleep(5)
        await super().pull(image, progress)


def reasons(bench, identity):
    return [status.reason for allocation, status in bench.reports if allocation == identity and status.reason]


def test_a_container_that_can_t_be_stopped_is_nobody_elses_trouble():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        slow = bench.assign(2, image="batch")
        await bench.until(lambda: bench.running(slow), 10)
        assert bench.client.pulls == 1

    run(main, engine_client=Stubborn)


def test_a_stop_that_is_refused_says_why_and_is_tried_again_after_a_growing_wait():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        started_at_ms = bench.reports[-1][1].started_at_ms
        bench.unwant(web)
        await bench.until(lambda: reasons(bench, web)[-1:] and REFUSED in reasons(bench, web)[-1])
        assert reasons(bench, web)[-1] == f"can't be stopped: {REFUSED}; trying again in 1 s"
        shown = bench.reports[-1][1]
        assert (str(shown.state), shown.started_at_ms) == ("running", started_at_ms)
        await asyncio.sleep(600)
        assert 10 < bench.client.stops < 25  # doubling to a minute, not one a second
        assert bench.running(web)
        bench.client.stubborn = False
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"], 90)
        assert bench.reports[-1][1].reason == ""

    run(main, engine_client=Stubborn)


def test_one_that_ended_after_all_is_removed_at_once():
    """Its refused stop says nothing of its removal."""

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await bench.until(lambda: bench.client.stops == 4)
        bench.engine.end(bench.held(web), 137, "")
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"], 2)

    run(main, engine_client=Stubborn)
