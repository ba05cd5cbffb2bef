import asyncio

import pytest
from cluster_kit import run

from orion.model.errors import Unavailable
from orion.node.service import Read


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_a_stale_answer_needs_no_leader():
    async def main(nodes):
        alone = nodes[2]
        nodes.isolate(alone)
        await nodes.until(lambda: not alone.node.driver.standing.leader)
        async with asyncio.timeout(0.1):
            views, _ = await of(alone, alone.node.service.nodes(Read(stale=True)))
        assert len(views) == 3

    run(main)


def test_events_where_no_voter_is_known():
    async def main(nodes):
        worker = worker_of(nodes)
        worker.node.directory.update([])
        with pytest.raises(Unavailable):
            await of(worker, anext(worker.node.service.events(None, follow=True)))

    run(main, count=8, voters=5)


def test_a_worker_leaves_a_voter_that_is_cut_off():
    """It goes on showing signs of life, but nothing new."""

    async def main(nodes):
        worker = worker_of(nodes)
        voter = nodes.leader
        await nodes.until(lambda: worker.node._source.latest is not None)
        others = [m for m in nodes.machines if m not in (voter, worker)]
        nodes.cut(voter, *others)
        await nodes.until(lambda: nodes.leader not in (None, voter))
        leader = nodes.leader
        await of(leader, leader.node.service.drain(worker.name, draining=True, timeout_s=5))
        index = leader.node.driver.applied_index
        await nodes.until(lambda: worker.node._source.latest.index >= index, 10)

    run(main, count=8, voters=5)
