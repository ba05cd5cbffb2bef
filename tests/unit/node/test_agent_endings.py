"""What an engine that refuses to stop or to remove a container is told, how often, and whom it concerns."""

import asyncio

from agent_kit import CLUSTER, run

from orion.model.container import Labels
from orion.model.errors import EngineError, Unavailable
from orion.model.ids import NodeId
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

    async def pull(self, image, progress, platform=""):
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
        assert reasons(bench, web)[-1] == f"its container can't be stopped: {REFUSED}; trying again in 1 s"
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


def test_a_flaky_engine_refuses_stops_too():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.engine.faults = 1.0
        bench.unwant(web)
        await bench.until(lambda: any("can't be stopped" in reason for reason in reasons(bench, web)))
        assert bench.running(web)
        bench.engine.faults = 0.0
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])

    run(main)


class Sticky(Stubborn):
    """Stops, and refuses to remove."""

    async def stop(self, container, grace_ms):
        await SimEngineClient.stop(self, container, grace_ms)

    async def remove(self, container):
        self.removals += 1
        if self.stubborn:
            raise EngineError("device or resource busy")
        await super().remove(container)


def test_a_removal_that_is_refused_says_why_and_is_tried_again_after_a_growing_wait(caplog):
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await bench.until(lambda: reasons(bench, web))
        said = "its container can't be removed: device or resource busy; trying again in 1 s"
        assert reasons(bench, web)[0] == said
        await asyncio.sleep(600)
        assert 10 < bench.client.removals < 25
        bench.client.stubborn = False
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"], 90)
        assert bench.held(web) is None

    run(main, engine_client=Sticky)
    assert len([r for r in caplog.records if "device or resource busy" in r.getMessage()]) == 1


class Taken(Sticky):
    """Makes containers and starts none."""

    async def start(self, container):
        raise EngineError("port 80 is taken")


def test_one_that_never_started_ends_with_why_not_with_what_was_said_of_its_removal():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.reports and bench.reports[-1][1].failed_starts == 2)
        bench.unwant(web)
        await bench.until(lambda: "device or resource busy" in reasons(bench, web)[-1])
        bench.publish()  # the agent's work says so too
        bench.client.stubborn = False
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"], 90)
        end = bench.reports[-1][1]
        assert (end.reason, end.failed_starts) == ("port 80 is taken", 2)

    run(main, engine_client=Taken)


def test_what_nothing_explains_and_can_t_be_removed_is_asked_for_ever_more_seldom():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.running(web))
        bench.drop(web)
        await asyncio.sleep(600)
        assert 10 < bench.client.removals < 25
        other = bench.assign(2)
        await bench.until(lambda: bench.running(other), 5)

    run(main, engine_client=Sticky)


def test_a_neighbours_leavings_are_asked_about_each_second_while_the_cluster_does_not_answer():
    """Whether they may be removed is no trouble of the engine's, and a port may hang on it."""

    async def main(bench):
        known = bench.assign(9)
        spec, allocation = bench.assigned[known].spec, bench.assigned[known].allocation
        bench.drop(known)
        await bench.until(lambda: bench.held(known) is None)
        bench.refuse = Unavailable("no quorum answers")
        left = bench.engine.create(allocation, spec, Labels(CLUSTER, NodeId("node2"), "job9", 0, 9), "job9-0-9")
        bench.engine.start(left)
        await asyncio.sleep(60)
        assert len([asked for asked in bench.asked if asked.nodes]) > 40
        bench.refuse = None
        await bench.until(lambda: left not in bench.engine.containers, 3)

    run(main)


class Hanging(SimEngineClient):
    """Does not stop or remove anything, nor says so, until `lets_go`."""

    hangs = ("stop", "remove")

    def __init__(self, engine, process):
        super().__init__(engine, process)
        self.lets_go = asyncio.Event()

    async def stop(self, container, grace_ms):
        if "stop" in self.hangs:
            await self.lets_go.wait()
        await super().stop(container, grace_ms)

    async def remove(self, container):
        if "remove" in self.hangs:
            await self.lets_go.wait()
        await super().remove(container)


def test_a_stop_that_hangs_is_told_while_it_does():
    async def main(bench):
        web = bench.assign(stop_grace_ms=3_000)
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await asyncio.sleep(7)
        assert reasons(bench, web) == [], "it has its grace, and a little more"
        await bench.until(lambda: reasons(bench, web))
        assert "its container still runs 8 s after it was told to end" in reasons(bench, web)[-1]
        assert bench.states(web)[-1] == "running"
        bench.client.lets_go.set()
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])
        assert bench.reports[-1][1].reason == ""

    run(main, engine_client=Hanging)


def test_a_removal_that_hangs_is_told_while_it_does():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.client.hangs = ("remove",)
        bench.unwant(web)
        await bench.until(lambda: reasons(bench, web) and "is still there" in reasons(bench, web)[-1])
        bench.client.lets_go.set()
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])

    run(main, engine_client=Hanging)
