"""Lists that are longer than a frame, as a worker has them from a voter."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.configs import ConfigStat
from orion.model.errors import TooLarge, Unavailable
from orion.model.views import TaskRequest
from orion.node import pieces, render
from orion.node.service import Read
from orion.state.view import View

MANY = 40_000  # of 8 MiB, each has 210 bytes


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_lists_of_any_length_reach_a_worker(monkeypatch):
    async def main(nodes):
        worker = worker_of(nodes)
        service = worker.node.service
        request = TaskRequest("web", name="a")
        one = await of(worker, service.create_task(request, idempotency_key="", timeout_s=5, wait_running_s=5))
        tasks = [one] * MANY
        monkeypatch.setattr(render, "tasks", lambda _: tasks)
        assert (await of(worker, service.tasks(Read())))[0] == tasks

        some, _ = await of(worker, service.nodes(Read()))
        views = some[:1] * MANY
        monkeypatch.setattr(render, "nodes", lambda *_: views)
        assert (await of(worker, service.nodes(Read())))[0] == views

        stats = [ConfigStat(f"{'k' * 300}{number}", 1, 10, 0, 0) for number in range(MANY)]
        monkeypatch.setattr(View, "config_stats", lambda *_: stats)
        found, index = await of(worker, service.configs.find("k", Read()))
        assert [view.key for view in found] == [stat.key for stat in stats]
        assert index > 0

    run(main, count=8, voters=5)


def test_a_list_without_an_end_is_not_taken(monkeypatch):
    monkeypatch.setattr(pieces, "MAX_ANSWER_BYTES", 1_000)

    async def main(nodes):
        worker = worker_of(nodes)
        with pytest.raises(TooLarge, match="is more than 1,000 bytes"):
            await of(worker, worker.node.service.nodes(Read()))

    run(main, count=8, voters=5)


def test_a_list_from_a_voter_that_does_not_answer_has_a_deadline():
    async def main(nodes):
        worker = worker_of(nodes)
        voters = [m for m in nodes.machines if m.raft in nodes.leader.node.driver.raft.conf.voters]
        for machine in voters:
            machine.run.process.stall()
        asked = of(worker, worker.node.service.tasks(Read(timeout_s=2)))
        async with asyncio.timeout(3):
            with pytest.raises(Unavailable):
                await asked
        for machine in voters:
            machine.run.process.resume()

    run(main, count=8, voters=5)
