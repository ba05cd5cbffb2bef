"""Tasks that may not go on without the cluster: the time that the keeper is told, and when one may start."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.claims import STOP_AFTER_MS, Claim, ClaimedVolume, ClaimPhase
from orion.model.csi import AccessMode
from orion.model.errors import Unavailable
from orion.model.ids import AllocationId, JobName, NodeId
from orion.model.job import TaskSpec
from orion.model.storage import SystemPart
from orion.model.volumes import Volume, VolumeKind, VolumeMount
from orion.node.agent.assignment_stream import Assignment, AssignmentSet
from orion.node.agent.confirm import Confirmed
from orion.node.agent.hooks.hook import NotYet
from orion.node.agent.leases import Leases
from orion.ports.keeper import KeeperFailed
from sim.world import SimClock, World

ME = NodeId("node1")
DATA = VolumeMount("/data", "data")
FIRST = AllocationId(1)


class Bench:
    """The cluster, the keeper and what runs, in the test's hand."""

    def __init__(self, world):
        self.clock = SimClock(world)
        self.latest = None
        self.on_change = []
        self.down = self.cut_off = self.broken = self.lost = False
        self.runs = set()
        self.told = {}  # as the keeper has it
        self.leases = Leases(
            me=ME, clock=self.clock, source=self, keeper=self, confirm=self.confirm, may_run=self.runs.__contains__
        )

    async def confirm(self, request):
        await asyncio.sleep(0.1)
        if self.cut_off:
            raise Unavailable("no quorum answers")
        return Confirmed(() if self.lost else request.allocations, request.nodes if self.down else ())

    async def renew(self, until_ms, ended=()):
        if self.broken:
            raise KeeperFailed("the keeper does not answer")
        self.told.update(until_ms)
        for each in ended:
            del self.told[each]

    def assign(self, *specs, access=AccessMode.SINGLE_NODE_WRITER, stop_after_ms=STOP_AFTER_MS, terminal=()):
        assigned = []
        for number, spec in enumerate(specs, 1):
            state = AllocationState.LOST if number in terminal else AllocationState.RUNNING
            allocation = Allocation(
                AllocationId(number), JobName("db"), number - 1, 0, ME, (), True, 0, AllocationStatus(state)
            )
            assigned.append(Assignment(allocation, spec))
        volume = Volume("data", VolumeKind.CSI, data="d", driver="x", system=SystemPart(access))
        claim = Claim("data", ME, 0, ClaimPhase.PUBLISHED, 5, stop_after_ms=stop_after_ms)
        self.latest = AssignmentSet(
            1, 7, registered=True, assigned=tuple(assigned), neighbours=(), claims=(ClaimedVolume(claim, volume),)
        )
        for tell in self.on_change:
            tell()

    def left_ms(self, number=1):
        return self.told[AllocationId(number)] - self.clock.now_ms()

    async def starts(self, number=1):
        each = self.latest.assigned[number - 1]
        try:
            await self.leases.require(each.allocation, each.spec)
        except NotYet as wait:
            return str(wait)
        return ""

    async def passes(self, seconds):
        """In virtual time."""
        await asyncio.sleep(seconds)


def spec(*volumes, **more):
    return TaskSpec("app", volumes=volumes, **more)


def run(main):
    world = World(1)
    world.install()

    async def both():
        bench = Bench(world)
        runner = asyncio.create_task(bench.leases.run())
        try:
            await main(bench)
            assert not runner.done()
        finally:
            runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await runner

    try:
        world.loop.run_until_complete(both())
    finally:
        world.loop.close()


def test_the_one_writer_is_renewed_from_when_it_was_asked_and_others_are_not_kept():
    async def main(bench):
        bench.assign(spec(DATA), spec(), spec(replace(DATA, read_only=True)), stop_after_ms=STOP_AFTER_MS)
        for _ in range(5):
            await bench.passes(2)
            assert set(bench.told) == {1, 3}  # the reader's node has the volume as the writer's does
            assert STOP_AFTER_MS - 1_300 <= bench.left_ms() <= STOP_AFTER_MS - 100

    run(main)


@pytest.mark.parametrize("how", ["cut_off", "down"])
def test_without_a_good_word_the_time_runs_out_and_nothing_starts(how):
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        assert await bench.starts() == ""
        setattr(bench, how, True)
        last = bench.told[FIRST]
        await bench.passes(1.1)
        last = max(last, bench.told[FIRST])
        assert "waits until node1 reaches the cluster" in await bench.starts()
        await bench.passes(20)
        assert bench.told[FIRST] == last
        setattr(bench, how, False)
        assert await bench.starts() == ""
        assert bench.left_ms() > STOP_AFTER_MS - 1_300

    run(main)


def test_the_task_s_own_word_counts_up_to_what_the_leader_waits_for():
    async def main(bench):
        bench.assign(
            spec(DATA, stop_after_disconnect_ms=60_000),
            spec(stop_after_disconnect_ms=30_000),
            spec(DATA, stop_after_disconnect_ms=4_000),
            spec(DATA, stop_after_disconnect_ms=0),
            stop_after_ms=20_000,
        )
        await bench.passes(2)
        assert [round(bench.left_ms(n), -4) for n in (1, 2)] == [20_000, 30_000]
        assert bench.left_ms(3) < 4_000
        assert bench.left_ms(4) <= 20_000

    run(main)


def test_nobody_is_kept_where_many_write_or_all_may_go_on():
    async def main(bench):
        bench.assign(spec(DATA), access=AccessMode.MULTI_NODE_MULTI_WRITER, stop_after_ms=0)
        assert await bench.starts() == ""
        bench.assign(spec(DATA, stop_after_disconnect_ms=0), stop_after_ms=0)
        await bench.passes(3)
        assert bench.told == {}

    run(main)


def test_one_that_is_over_and_runs_still_is_neither_renewed_nor_forgotten():
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        bench.runs.add(FIRST)
        bench.assign(spec(DATA), terminal={1})
        last = bench.told[FIRST]
        await bench.passes(30)
        assert bench.told == {FIRST: last}
        bench.runs.clear()
        await bench.passes(2)
        assert bench.told == {}

    run(main)


def test_a_keeper_that_was_killed_while_its_node_is_cut_off_hears_of_all_again():
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        bench.cut_off = True
        await bench.passes(2)
        last = bench.told[FIRST]
        bench.told.clear()
        await bench.passes(5)
        assert bench.told == {FIRST: last}

    run(main)


def test_nothing_starts_without_a_keeper():
    async def main(bench):
        bench.assign(spec(DATA))
        bench.broken = True
        await bench.passes(1)
        assert "the keeper does not answer" in await bench.starts()
        bench.broken = False
        assert await bench.starts() == ""

    run(main)


def test_what_runs_elsewhere_by_now_is_not_started_again():
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        bench.lost = True  # and this node has not heard of it
        assert "to hear whether it is wanted here still" in await bench.starts()

    run(main)


def test_a_stop_on_purpose_leaves_them_the_time_that_the_cluster_waits():
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        before_ms = bench.clock.now_ms()
        await bench.passes(6)  # until the cluster has said that it waits
        await bench.leases.extend(before_ms, 60_000)
        agreed = {FIRST: before_ms + 60_000 + STOP_AFTER_MS}
        assert bench.told == agreed
        await bench.passes(6)  # leadership is handed over meanwhile
        assert bench.told == agreed

    run(main)


def test_a_stop_on_purpose_leaves_them_no_more_where_the_cluster_has_the_node_as_down():
    async def main(bench):
        bench.assign(spec(DATA))
        await bench.passes(3)
        bench.down = True
        before_ms = bench.clock.now_ms()
        await bench.leases.extend(before_ms, 60_000)
        assert bench.told[FIRST] <= before_ms + STOP_AFTER_MS

    run(main)


def test_a_start_that_took_longer_than_its_time_asks_anew_whatever_was_renewed():
    async def main(bench):
        bench.assign(spec(DATA), stop_after_ms=STOP_AFTER_MS)
        assert await bench.starts() == ""
        bench.leases.require_time(FIRST)
        assert await bench.starts() == ""
        await bench.passes(STOP_AFTER_MS / 1000 + 1)
        assert bench.left_ms() > 0
        with pytest.raises(NotYet, match="hear anew"):
            bench.leases.require_time(FIRST)

    run(main)
