"""Rows as they change, followed at nodes: a follower has what there is, whatever happened on the way."""

import asyncio

from cluster_kit import run
from msgspec import json

from orion.client.watch import Current, _rows
from orion.model.api.jobs import JobRequest
from orion.model.api.tasks import TaskRequest
from orion.model.api.watch import LONGEST_LABEL, MOST_LABELS, CurrentMessage, Noun, RowsMessage, key_of
from orion.model.container_options import ContainerOptions
from orion.model.errors import Unavailable
from orion.model.job import TaskSpec
from orion.node.views import render_rows
from orion.node.views.told import Told
from orion.tui.store import Store
from sim.engine import FOREVER


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


class Follower:
    """Reads in a node's process, as a client would."""

    def __init__(self, machine, nouns=tuple(Noun)):
        self.store = Store()
        self.told = []  # (noun, keys) of each message of rows
        self.currents = 0
        self.runner = machine.run.process.spawn(self._read(machine.node.service.watch(nouns)))

    async def _read(self, items):
        async for item in items:
            if item.name == "current":
                self.currents += 1
                message = json.decode(item.data, type=CurrentMessage)
                self.store.take(Current(message.index, message.leader), 0.0)
            else:
                rows = _rows(json.decode(item.data, type=RowsMessage))
                self.told.append((rows.noun, [key_of(rows.noun, row) for row in rows.rows], rows.gone))
                self.store.take(rows, 0.0)

    def has(self, noun, count):
        return self.currents > 0 and len(self.store.tables[noun]) == count


def there_is(machine):
    """All rows made anew, as JSON has them."""
    found = {noun: {} for noun in Noun}
    for changes in Told(machine.node.driver, machine.node.directory, tuple(Noun)).changes(wholes=True):
        for change in changes:
            for row in change.rows:
                found[change.noun][key_of(change.noun, row)] = json.decode(json.encode(row))
    return found


def followed(store):
    return {
        noun: {key: json.decode(json.encode(row)) for key, row in table.items()}
        for noun, table in store.tables.items()
    }


async def put(machine, name, **fields):
    request = JobRequest(**{"image": FOREVER, **fields})
    service = machine.node.service.jobs
    return await of(machine, service.put(name, request, if_version=-1, plan="", idempotency_key="", timeout_s=10))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_a_follower_has_what_there_is_whatever_happened():
    async def main(nodes):
        leader = nodes.leader
        await put(leader, "old", count=2)
        followers = [Follower(leader), Follower(worker_of(nodes))]
        service = leader.node.service
        await put(leader, "web", count=5)
        await put(leader, "web", count=3, env={"A": "b"})
        await of(
            leader,
            service.create_task(
                TaskRequest(FOREVER, name="one"), idempotency_key="", timeout_s=5, wait_running_s=20
            ),
        )
        await of(leader, service.jobs.stop("old", timeout_s=5))
        await of(leader, service.jobs.set_count("web", 4, timeout_s=5))
        await of(leader, service.jobs.delete("old", timeout_s=5))
        await of(leader, service.configs.put("a/b", b"x", if_version=None, idempotency_key="", timeout_s=5))
        await of(leader, service.delete_task("one", timeout_s=5))

        def same():
            if leader.node.driver.view.job("old") or leader.node.driver.view.job("one"):
                return False
            meant = there_is(leader)
            return all(followed(each.store) == meant for each in followers)

        await nodes.until(same)
        for each in followers:
            assert set(each.store.tables[Noun.TASKS]) == {f"web/{index}" for index in range(4)}
            assert set(each.store.tables[Noun.CONFIGS]) == {"a/b"}
            assert each.store.leader == leader.name
            assert not each.runner.done()

    run(main, count=8, voters=5)


def test_one_task_of_many_is_told_alone():
    async def main(nodes):
        leader = nodes.leader
        await put(leader, "web", count=20)
        follower = Follower(leader)
        await nodes.until(
            lambda: (
                follower.has(Noun.TASKS, 20)
                and all(row.state == "running" for row in follower.store.tables[Noun.TASKS].values())
            )
        )
        await asyncio.sleep(5)
        follower.told.clear()
        await put(leader, "other")
        await nodes.until(lambda: follower.has(Noun.TASKS, 21))
        told = {key for noun, keys, _ in follower.told if noun is Noun.TASKS for key in keys}
        assert told == {"other/0"}

    run(main)


def test_what_is_not_followed_is_not_told():
    async def main(nodes):
        leader = nodes.leader
        follower = Follower(leader, (Noun.NODES,))
        await put(leader, "web")
        await nodes.until(lambda: follower.has(Noun.NODES, len(nodes.machines)))
        await asyncio.sleep(5)
        assert {noun for noun, _, _ in follower.told} == {Noun.NODES}

    run(main)


def test_a_quiet_cluster_is_said_to_be_current_each_second():
    async def main(nodes):
        follower = Follower(nodes.leader, (Noun.JOBS,))
        await nodes.until(lambda: follower.currents > 0)
        former = follower.currents
        await asyncio.sleep(10)
        assert follower.currents - former >= 9
        assert all(keys == [] for _, keys, _ in follower.told)

    run(main)


def test_a_voter_without_its_leader_ends_the_stream():
    async def main(nodes):
        machine = next(m for m in nodes.machines if m is not nodes.leader)
        follower = Follower(machine)
        await nodes.until(lambda: follower.currents > 0)
        nodes.isolate(machine)
        await nodes.until(follower.runner.done)
        assert isinstance(follower.runner.exception(), Unavailable)

    run(main)


def test_who_leaves_counts_no_more():
    async def main(nodes):
        leader = nodes.leader
        watch = leader.node.service._watch  # its count alone, which nothing shows
        followers = [Follower(leader, (Noun.NODES,)) for _ in range(3)]
        await nodes.until(lambda: all(each.currents for each in followers))
        assert watch._followers == 3
        followers[0].runner.cancel()
        await nodes.until(lambda: watch._followers == 2)

    run(main)


def test_a_job_is_told_with_its_short_labels():
    many = {f"a{n:02}": "x" for n in range(MOST_LABELS)}
    spec = TaskSpec(
        "nginx", options=ContainerOptions(labels=(("long", "y" * LONGEST_LABEL), *many.items(), ("z", "1")))
    )
    assert render_rows.labels_of(spec) == many
    assert render_rows.labels_of(TaskSpec("nginx")) == {}
