import asyncio

import pytest
from agent_kit import Bench, run
from msgspec.structs import replace

from orion.model.allocation import AllocationState, AllocationStatus
from orion.model.container import Labels
from orion.model.errors import EngineDown, EngineError, Unavailable
from orion.model.ids import AllocationId, NodeId
from orion.model.job import RestartMode, RestartPolicy
from sim.engine import SimEngineClient
from sim.world import World


def test_an_allocation_is_started_and_stopped():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])
        assert bench.held(web) is None

    run(main)


class TooLate(SimEngineClient):
    """Once each: the engine does not answer in time, though its events go on."""

    late = ("start", "stop", "remove")

    def __init__(self, engine, process):
        super().__init__(engine, process)
        self.due = dict.fromkeys(self.late)

    def _once(self, what):
        if what in self.due:
            del self.due[what]
            raise EngineDown("did not answer within 60 s")

    async def start(self, container):
        await super().start(container)
        self._once("start")

    async def stop(self, container, grace_ms):
        self._once("stop")
        await super().stop(container, grace_ms)

    async def remove(self, container):
        self._once("remove")
        await super().remove(container)


def test_an_answer_that_came_too_late_is_no_obstacle_later():
    """What the next look began at that moment is never carried out, and must be begun again."""

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await bench.until(lambda: bench.held(web) is None)
        await bench.until(lambda: bench.states(web)[-1:] == ["stopped"])
        assert not bench.client.due

    run(main, engine_client=TooLate)


def test_the_end_of_a_stopped_container_is_told_with_its_exit_code():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        bench.assign(2)  # work goes on meanwhile
        await bench.until(lambda: "stopped" in bench.states(web))
        assert bench.held(web) is None
        ended = next(s for a, s in bench.reports if a == web and s.state is AllocationState.STOPPED)
        assert ended.exit_code in (137, 143)

    run(main)


def test_the_output_of_a_stopped_container_is_not_why_it_ended():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.kept.add(web)
        bench.unwant(web)
        await bench.until(lambda: "stopped" in bench.states(web))
        assert bench.reports[-1][1].exit_code in (137, 143)
        assert bench.reports[-1][1].reason == ""

    run(main)


def test_a_port_that_a_dead_neighbours_container_holds_is_waited_for():
    async def main(bench):
        gone = NodeId("node2")
        labels = Labels(7, gone, "job9", 0, 9)
        old = bench.assign(9, ports=(8080,))
        spec, allocation = bench.assigned[old].spec, bench.assigned[old].allocation
        bench.drop(old)
        container = bench.engine.create(allocation, spec, labels, "job9-0-9")
        bench.engine.start(container)
        await bench.until(lambda: bench.engine.running() == [] or bench.asked)
        web = bench.assign(ports=(8080,))
        for number in range(2, 6):
            await asyncio.sleep(0.02)
            bench.assign(number)
        await bench.until(lambda: bench.running(web))
        assert not any(s.reason for a, s in bench.reports if a == web), bench.reports

    run(main, seed=3)


def test_a_port_that_a_lost_runs_container_holds_is_waited_for():
    async def main(bench):
        old = bench.assign(9, ports=(8080,))
        await bench.until(lambda: bench.running(old))
        bench.assign(9, ports=(8080,), wanted=True, status=AllocationStatus(AllocationState.LOST))
        web = bench.assign(ports=(8080,), restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: bench.running(web))
        assert not any(s.reason for a, s in bench.reports if a == web), bench.reports

    run(main)


def test_an_allocation_given_up_during_its_pull_is_not_started():
    """The node may be cut off for as long as the pull takes, and others run the task by then."""

    async def main(bench):
        web = bench.assign(image="web2")
        await bench.until(lambda: "pulling" in bench.states(web))
        bench.wanted.clear()
        await asyncio.sleep(10)
        assert bench.held(web) is None
        assert len(bench.asked) < 30  # and nobody is asked without pause

    run(main)


def test_slow_pulls_keep_nobody_else_waiting():
    class Stuck(SimEngineClient):
        async def pull(self, image, progress, platform=""):
            await asyncio.sleep(3_600)

    async def main(bench):
        for number in range(2, 22):
            bench.assign(number, image="big")
        web = bench.assign()
        await bench.until(lambda: bench.running(web), 5)

    run(main, engine_client=Stuck)


def test_work_that_is_gone_while_the_cluster_is_asked():
    async def main(bench):
        answer = asyncio.Event()

        async def confirm(request):
            bench.asked.append(request)
            await answer.wait()
            raise Unavailable("no quorum answers")

        bench.agent._reconciler._starter._confirm = confirm
        web = bench.assign()
        await bench.until(lambda: bench.asked)
        bench.drop(web)
        await asyncio.sleep(0.1)
        answer.set()
        await asyncio.sleep(0.1)

    run(main)


def test_a_start_that_fails_is_no_restart():
    async def main(bench):
        web = bench.assign(image="crash", restart=RestartPolicy(RestartMode.ON_FAILURE, 3))
        bench.engine.images["crash"] = None
        await bench.until(lambda: bench.running(web))
        await bench.until(lambda: not bench.running(web))
        bench.engine.faults = 1.0
        await asyncio.sleep(4)
        bench.engine.faults = 0.0
        await bench.until(lambda: bench.running(web))
        await bench.until(lambda: bench.states(web)[-1] == "running")
        assert bench.reports[-1][1].restarts == 1

    run(main)


def test_a_container_that_the_engine_never_starts_again_is_replaced():
    """Killed at the wrong moment, containerd says of its task for ever that it already exists."""

    class Haunted(SimEngineClient):
        async def start(self, container):
            if container == self.haunted:
                raise EngineError("task already exists")
            await super().start(container)

        async def create(self, *args, **named):
            container = await super().create(*args, **named)
            self.haunted = self.haunted or container
            return container

        haunted = ""

    async def main(bench):
        web = bench.assign(restart=RestartPolicy(RestartMode.ALWAYS))
        await bench.until(lambda: bench.running(web), 10)
        assert bench.client.haunted not in bench.engine.containers
        assert len(bench.engine.containers) == 1
        assert bench.reports[-1][1].restarts == 0

    run(main, engine_client=Haunted)


@pytest.mark.parametrize("seed", range(5))
def test_a_look_at_all_containers_does_not_undo_what_was_seen_since(seed):
    class SlowList(SimEngineClient):
        """The list was made before, its answer comes late."""

        async def containers(self, cluster):
            found = await super().containers(cluster)
            await asyncio.sleep(0.5)
            return found

    async def main(bench):
        await asyncio.sleep(bench.world.rng("start").uniform(9.9, 11.5))
        web = bench.assign()
        await bench.until(lambda: bench.running(web))
        await asyncio.sleep(2)
        assert bench.states(web) == ["starting", "running"]

    run(main, seed=seed, engine_client=SlowList)


@pytest.mark.parametrize("turns", range(8))
def test_it_ends_when_its_engine_goes_in_the_same_moment(turns):
    class Closing(SimEngineClient):
        async def changes(self, cluster):
            yield ""
            await self.closing.wait()

    async def main():
        bench = Bench(world, Closing)
        bench.client.closing = asyncio.Event()
        web = bench.assign()
        runner = bench.start()
        await bench.until(lambda: bench.running(web))
        bench.client.closing.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        runner.cancel()
        await asyncio.wait([runner], timeout=10)
        assert runner.cancelled()

    world = World(1)
    world.install()
    try:
        world.loop.run_until_complete(main())
    finally:
        world.loop.close()


def test_an_engine_that_restarts_before_the_node_is_registered_is_known_anew():
    """Nobody listens to it until then."""

    async def main(bench):
        bench.source.latest = None
        await bench.until(bench.agent.asked.is_set)
        bench.engine.go_down(containers_die=True)
        bench.engine.come_up()
        assert bench.agent.engine_info.run == "engine run 1"
        bench.publish()
        await bench.until(lambda: bench.agent.engine_info.run == "engine run 2")

    run(main)


def test_an_end_is_told_once_with_all_that_the_container_said():
    """Its container is gone by the time that state knows."""

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.unwant(web)
        await bench.until(lambda: "stopped" in bench.states(web))
        await asyncio.sleep(1)
        ends = [status for allocation, status in bench.reports if (allocation, status.state) == (web, "stopped")]
        assert len(ends) == 1
        assert ends[0].exit_code is not None
        assert ends[0].finished_at_ms

    run(main)


def test_what_the_event_stream_did_not_tell_is_seen_by_the_next_look_at_all():
    class Deaf(SimEngineClient):
        """Its event stream begins and then says nothing."""

        async def changes(self, cluster):
            yield ""
            await asyncio.get_running_loop().create_future()

    async def main(bench):
        web = bench.assign(restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        bench.engine.end(bench.held(web), 3, "")
        await bench.until(lambda: bench.states(web)[-1:] == ["failed"], 20)

    run(main, engine_client=Deaf)


def test_a_report_that_state_does_not_show_is_made_again():
    """A late copy of an older one may have followed it into the log."""

    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        known = bench.assigned[web]
        bench._put(replace(known.allocation, status=AllocationStatus(AllocationState.STARTING)), known.spec)
        bench.publish()
        await bench.until(lambda: bench.states(web).count("running") == 2, 20)

    run(main)


def test_a_report_that_is_on_its_way_is_not_made_again_at_each_look():
    async def main(bench):
        bench.deaf = True
        web = bench.assign()
        await bench.until(lambda: bench.states(web)[-1:] == ["running"])
        for _ in range(50):
            bench.publish()
            await asyncio.sleep(0.05)
        assert bench.states(web).count("running") == 1

    run(main)


def test_what_is_known_of_an_allocation_goes_with_it():
    """State forgets allocations for ever; a node that remembered them would grow with all that it ever ran."""

    async def main(bench):
        loop = bench.agent._reconciler
        for number in range(1, 6):
            web = bench.assign(number)
            await bench.until(lambda web=web: bench.states(web)[-1:] == ["running"])
        assert len(loop._attempts) == 5
        assert len(loop._reports._told) == 5
        bench.client.refuses = True
        bench.drop(AllocationId(1))
        await bench.until(lambda: loop._teardown._refusals)
        bench.engine.remove(bench.held(AllocationId(1)).shown.id)  # somebody else did it
        await bench.until(lambda: not loop._teardown._refusals)
        bench.client.refuses = False
        for number in range(2, 6):
            bench.drop(AllocationId(number))
        await bench.until(lambda: not bench.engine.containers, 90)
        bench.publish()
        await bench.until(lambda: not (loop._attempts or loop._reports._told or loop._teardown._refusals))

    class Refusing(SimEngineClient):
        refuses = False

        async def remove(self, container):
            if self.refuses:
                raise EngineError("it is busy")
            await super().remove(container)

    run(main, engine_client=Refusing)
