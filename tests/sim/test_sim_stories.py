"""Told courses of events, each with a few seeds for the times between: what the random schedules once found, and
what users are promised.
"""

import asyncio

import pytest
from msgspec.structs import replace

from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.resources import MIB
from orion.node.rpc.reads import Read
from orion.node.views import render
from orion.process.config import Tuning
from sim.guarding import Guarding
from sim.outage import Outage
from sim.runner import report, run_seeds
from sim.scenario import Plan, Scenario, bound, run_seed

TUNING = Tuning(dead_voter_grace_ms=1_500, stop_grace_ms=6_000, snapshot_entries=15, trailing_entries=0)


class Story(Scenario):
    nodes = 3
    engines = 3
    tuning = TUNING

    def __init__(self, world):
        self.made = 0
        super().__init__(world, Plan(self.nodes, 0, self.engines, 0.0, self.tuning))

    async def run(self):
        await self.start()
        await self.until_at_rest()
        await self.happens()
        await self.until_at_rest()
        await self.check_answers()

    async def happens(self):
        raise NotImplementedError

    @property
    def leader(self):
        leader = self.cluster.leader()
        assert leader is not None
        return leader

    @property
    def raft(self):
        return self.leader.node.driver.raft._me

    async def create(self, count, memory=64 * MIB, **more):
        for _ in range(count):
            self.made += 1
            request = TaskRequest(image="web", name=f"web{self.made}", memory=memory, **more)
            await self.leader.ask(
                lambda s, r=request: s.create_task(r, idempotency_key="", timeout_s=5.0, wait_running_s=10.0)
            )

    async def where(self):
        """Task -> (its node, its allocation's id), of those that run."""
        listing = await self.leader.ask(lambda s: s.tasks(Read(timeout_s=5.0)))
        tasks = listing.rows(TaskView)
        return {t.id: (t.node_id, t.allocations[-1].id) for t in tasks if t.state == "running"}

    async def until(self, seconds, what, holds, *args):
        async with bound(self.world, seconds, what, lambda: "still not"):
            while not await holds(*args):  # noqa: ASYNC110 -- nothing tells the world
                await asyncio.sleep(0.05)


class AReplacedVoterReturns(Story):
    nodes = engines = 8  # five vote, two are learners, one is a worker

    async def happens(self):
        await self.create(10, memory=900 * MIB)  # two on a node
        busy = {node for node, _ in (await self.where()).values()} - {self.leader.name}
        victims = (m for m in self.cluster.machines.values() if m.raft in self.raft.conf.voters and m.name in busy)
        victim = next(victims)
        victim.kill()
        await self.until(20, "a dead voter is replaced", self.has_no_vote, victim)
        victim.boot()

    async def has_no_vote(self, machine):
        return machine.raft not in {*self.raft.conf.voters, *self.raft.conf.voters_outgoing}


class TheOnlyVoterRestartsFromASnapshot(Story):
    nodes = engines = 2

    async def happens(self):
        await self.create(6)
        confs = len(self.invariants.confs)
        leader = self.leader
        assert self.raft.snapshot.index > self.raft.conf_index
        leader.kill()
        await asyncio.sleep(0.3)
        leader.boot()
        await self.until_at_rest()
        assert len(self.invariants.confs) == confs, "a restart changes nobody's place"


class NodeTwoOfTwoDies(Story):
    nodes, engines = 2, 1

    async def happens(self):
        leader = self.leader
        victim = next(m for m in self.cluster.machines.values() if m is not leader)
        await leader.ask(lambda s: s.drain(leader.name, draining=True, timeout_s=5.0))
        await self.create(1, port_bindings={"80/tcp": "8080"})
        await self.create(3)
        await leader.ask(lambda s: s.drain(leader.name, draining=False, timeout_s=5.0))
        before = await self.where()
        assert {node for node, _ in before.values()} == {victim.name}
        victim.kill()
        await self.until(3, "a dead node's tasks run elsewhere", self.runs_at, leader, len(before))
        victim.boot()

    async def runs_at(self, machine, count):
        return [node for node, _ in (await self.where()).values()] == [machine.name] * count


class APlannedStopMovesNothing(Story):
    async def happens(self):
        await self.create(6)
        before = await self.where()
        for machine in (self.leader, next(m for m in self.cluster.machines.values() if m is not self.leader)):
            machine.stop()
            await self.until(10, "a planned stop ends", self.is_down, machine)
            machine.boot()
            await self.until_at_rest()
        assert await self.where() == before

    async def is_down(self, machine):
        return not machine.up


class PowerFailsEverywhere(Story):
    async def happens(self):
        await self.create(6)
        for machine in self.cluster.machines.values():
            machine.kill(power=True)
            for held in machine.engine.running():
                machine.engine.end(held, 137, "")
        await asyncio.sleep(1)
        for machine in self.cluster.machines.values():
            machine.boot()
        await self.until_at_rest()
        assert len(await self.where()) == 6


class AnOlderCopyOfALogIsFoundOut(Story):
    """By the leader that remembers what was acknowledged; the operator does as the node says."""

    async def happens(self):
        await self.create(3)
        leader = self.leader
        victim = next(m for m in self.cluster.machines.values() if m is not leader)
        older = victim.disk.durable.copy()
        await self.create(3)
        assert victim.disk.durable.last > older.last
        raft = victim.raft
        await self.a_copy_is_put_back(victim, older)
        victim.boot()
        await self.what_follows(victim, raft)

    async def a_copy_is_put_back(self, victim, older):
        victim.kill()
        victim.disk.roll_back(older)
        self.recovery.rolled_back[victim.name] = None

    async def what_follows(self, victim, raft):
        await self.until(20, "a node with an older log starts anew", self.is_another, victim, raft)

    async def is_another(self, machine, raft):
        return machine.node is not None and machine.raft != raft


class AnOlderCopyOfALogGoesUnnoticed(AnOlderCopyOfALogIsFoundOut):
    """Where the leader that remembers is gone too, nobody can tell; the node is given anew what it denied. Had the
    other follower not had it either, it would be lost: docs/design/recovery.md.
    """

    async def a_copy_is_put_back(self, victim, older):
        self.leader.kill()
        await super().a_copy_is_put_back(victim, older)

    async def what_follows(self, victim, raft):
        await asyncio.sleep(2)
        for machine in self.cluster.machines.values():
            machine.boot()
        await self.until_at_rest()
        assert victim.raft == raft


class ALeadersSnapshotRots(Story):
    """A follower that needs it gets another, though nothing is written that would call for one."""

    tuning = replace(TUNING, snapshot_entries=30)

    async def happens(self):
        leader = self.leader
        victim = next(m for m in self.cluster.machines.values() if m is not leader)
        victim.kill()
        await self.create(8)
        await asyncio.sleep(2)
        last = victim.disk.durable.last
        assert leader is self.leader
        assert leader.node.driver.raft.status().first_index > last + 1, "the follower needs the snapshot"
        for image in (leader.disk.written, leader.disk.durable):
            image.damage["chunk", 0] = 12_345
        victim.boot()


class DatagramsAreDroppedAndConnectionsWork(Story):
    """The commonest slip in a firewall. Gossip gives up living nodes again and again; none is called dead, nothing
    moves, and one that dies is still found out.
    """

    async def happens(self):
        await self.create(6, memory=600 * MIB)  # three on a node
        before = await self.where()
        self.cluster.network.no_datagrams, self.cluster.gossip.late_pings = True, 0.3
        downs = await self.downs_within(60)
        assert self.world.counts["member called dead though it runs"] >= 5, "gossip was wrong often enough"
        assert downs == []
        assert await self.where() == before
        busy = {node for node, _ in before.values()} - {self.leader.name}
        victim = self.cluster.machines[min(busy)]
        victim.kill()
        await self.until(5, "a dead node's tasks run elsewhere", self.all_run_without, victim, len(before))
        self.cluster.network.no_datagrams = False
        victim.boot()

    async def downs_within(self, seconds):
        """Who was called dead, by anybody's state, or is shown so by anybody."""
        found = []
        for _ in range(seconds * 20):
            await asyncio.sleep(0.05)
            for machine in self.cluster.machines.values():
                shown, _ = render.nodes(machine.node.driver, machine.node.directory)
                found += [n.name for n in shown if n.status not in ("alive", "suspect")]
        return found

    async def all_run_without(self, machine, count):
        where = await self.where()
        return len(where) == count and machine.name not in {node for node, _ in where.values()}


@pytest.mark.sim
@pytest.mark.parametrize(
    "story",
    [
        AReplacedVoterReturns,
        TheOnlyVoterRestartsFromASnapshot,
        NodeTwoOfTwoDies,
        APlannedStopMovesNothing,
        PowerFailsEverywhere,
        Outage,
        Guarding,
        AnOlderCopyOfALogIsFoundOut,
        AnOlderCopyOfALogGoesUnnoticed,
        ALeadersSnapshotRots,
        DatagramsAreDroppedAndConnectionsWork,
    ],
    ids=lambda story: story.__name__,
)
def test_a_story_holds_every_invariant(story):
    summary = run_seeds(
        1, seconds=600, count=2, live=lambda seed: run_seed(seed, make=story), on_failure=lambda _: None
    )
    assert not summary.failures, "\n".join(report(outcome) for outcome in summary.failures)
