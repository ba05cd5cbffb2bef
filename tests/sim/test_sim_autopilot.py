"""Who votes, told as courses of events: the rules that users are promised, whatever the times between."""

import asyncio

import pytest

from sim.runner import report, run_seeds
from sim.scenario import run_seed
from sim.test_sim_stories import Story

FAR_BEHIND = 260  # entries; more than a standby may lack to be promoted


class Autopilot(Story):
    def odd_and_prepared(self):
        """Every configuration of the run has an odd number of voters, each a standby before it."""
        confs = [conf for _, conf in sorted(self.invariants.confs.items())]
        known = set(confs[0].voters)
        for conf in confs:
            assert len(conf.voters) % 2 == 1, conf
            assert set(conf.voters) <= known, f"{conf} has voters that never followed the log"
            known |= {*conf.voters, *conf.learners, *conf.learners_next}

    async def outlook(self):
        return (await self.leader.ask(lambda s: s.raft())).next

    async def says(self, *words):
        return any(all(word in text for word in words) for text in await self.outlook())

    async def votes(self, machine):
        return machine.raft in self.raft.conf.voters and not self.raft.conf.voters_outgoing

    def voter(self):
        machines = self.cluster.machines.values()
        return next(m for m in machines if m.up and m is not self.leader and m.raft in self.raft.conf.voters)

    def standbys(self):
        return [m for m in self.cluster.machines.values() if m.raft in self.raft.conf.learners]

    async def write(self, count):
        for number in range(count):
            await self.leader.ask(
                lambda s, n=number: s.configs.put(
                    "a", b"%d" % n, if_version=None, idempotency_key=f"write {n}", timeout_s=5.0
                )
            )


class TwoOfFiveDieOneAfterTheOther(Autopilot):
    nodes = engines = 8

    async def happens(self):
        assert len(self.raft.conf.voters) == 5
        assert await self.outlook() == []
        victims = []
        for _ in range(2):
            victim = self.voter()
            victim.kill()
            victims.append(victim)
            await self.until(8, "its replacement is announced", self.says, f"{victim.name} dead", "replaced in")
            await self.until(20, "a dead voter is replaced", self.replaced, victim)
        self.odd_and_prepared()
        for victim in victims:
            victim.boot()
        await self.until_at_rest()
        self.odd_and_prepared()

    async def replaced(self, victim):
        return len(self.raft.conf.voters) == 5 and victim.raft not in self.raft.conf.voters


class AStandbyThatIsBehindIsNotPromoted(Autopilot):
    nodes = engines = 4

    async def happens(self):
        (standby,) = self.standbys()
        one, other = standby.host, self.leader.host
        self.cluster.network.cut({(one, other), (other, one)})  # gossip goes around by the others
        await self.write(FAR_BEHIND)
        victim = self.voter()
        victim.kill()
        await self.until(
            8, "it says what it waits for", self.says, f"{standby.name} is catching up", "entries behind"
        )
        await self.until(8, "and who is dead", self.says, f"{victim.name} dead", "stays a voter")
        await asyncio.sleep(5)
        assert await self.votes(victim), "nobody who is behind takes a vote"
        self.cluster.network.cut(set())
        await self.until(30, "it takes the vote once it has caught up", self.votes, standby)
        self.odd_and_prepared()
        victim.boot()


class TheVoterThatComesBackInTimeKeepsItsVote(Autopilot):
    nodes = engines = 4

    async def happens(self):
        victim = self.voter()
        confs = len(self.invariants.confs)
        victim.kill()
        await self.until(8, "its replacement is announced", self.says, f"{victim.name} dead", "replaced in")
        victim.boot()
        await self.until_at_rest()
        assert await self.votes(victim)
        assert len(self.invariants.confs) == confs
        assert await self.outlook() == []


@pytest.mark.sim
@pytest.mark.parametrize(
    "story",
    [TwoOfFiveDieOneAfterTheOther, AStandbyThatIsBehindIsNotPromoted, TheVoterThatComesBackInTimeKeepsItsVote],
    ids=lambda story: story.__name__,
)
def test_a_story_of_the_autopilot_holds_every_invariant(story):
    summary = run_seeds(
        1, seconds=600, count=2, live=lambda seed: run_seed(seed, make=story), on_failure=lambda _: None
    )
    assert not summary.failures, "\n".join(report(outcome) for outcome in summary.failures)
