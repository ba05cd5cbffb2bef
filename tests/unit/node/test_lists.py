"""Lists that are longer than a frame, as a worker has them from a voter."""

import asyncio
import gc
import weakref

import pytest
from cluster_kit import run

from orion.model.api.configs import ConfigView
from orion.model.api.nodes import NodeView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.configs import ConfigStat
from orion.model.errors import TooLarge, Unavailable
from orion.node.consensus.applied import AppliedWatch
from orion.node.rpc import lists
from orion.node.rpc.lists import Captured
from orion.node.rpc.reads import Page, Read
from orion.node.runtime.turnstile import Turnstile
from orion.node.views import render
from orion.state.tables.configs import Configs

MANY = 20_000  # more than a frame holds, and all three lists within what a node keeps for clients


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
        monkeypatch.setattr(render, "tasks", lambda *_: (iter([one] * MANY), "z/0"))
        listing = await of(worker, service.tasks(Read()))
        assert listing.rows(TaskView) == [one] * MANY
        assert listing.next == "z/0"
        assert listing.index > 0

        (view, *_) = (await of(worker, service.nodes(Read()))).rows(NodeView)
        monkeypatch.setattr(render, "nodes", lambda *_: ([view] * MANY, ""))
        assert (await of(worker, service.nodes(Read(), Page(limit=MANY)))).rows(NodeView) == [view] * MANY

        stats = [ConfigStat(f"{'k' * 300}{number}", 1, 10, 0, 0) for number in range(MANY)]
        monkeypatch.setattr(Configs, "stats", lambda *_: stats)
        listing = await of(worker, service.configs.find("k", Read()))
        assert [row.key for row in listing.rows(ConfigView)] == [stat.key for stat in stats]
        assert listing.index > 0

    run(main, count=8, voters=5)


def test_a_list_without_an_end_is_not_taken(monkeypatch):
    async def main(nodes):
        worker = worker_of(nodes)
        monkeypatch.setattr(lists, "MAX_LIST_BYTES", 1_000)
        with pytest.raises(TooLarge, match="is longer than 1,000 bytes"):
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


# --- shared by all who wait --------------------------------------------------------------------------------

WAITING = 300


def test_all_who_wait_for_an_index_share_one_list(monkeypatch):
    """At a voter, and at a worker, which asks a voter for all of them."""

    async def main(nodes):
        made = []
        tasks = render.tasks

        def count(view, page):
            made.append(view.index)
            return tasks(view, page)

        monkeypatch.setattr(render, "tasks", count)
        worker = worker_of(nodes)
        streams = []
        stream = worker.run.peers.stream
        worker.run.peers.stream = lambda address, request: streams.append(request) or stream(address, request)
        for machine in (nodes.leader, worker):
            made.clear()
            index = nodes.leader.node.driver.applied_index
            read = Read(after_index=index, wait_s=60)
            waiting = [of(machine, machine.node.service.tasks(read)) for _ in range(WAITING)]
            request = TaskRequest("web", name="a" if machine is worker else "b", memory=10**15)
            await of(machine, machine.node.service.create_task(request, idempotency_key="", **SOON))
            listings = await asyncio.gather(*waiting)
            assert {listing.index > index for listing in listings} == {True}
            assert len({id(listing) for listing in listings}) == len(made) <= 3
        assert len(streams) < 10

    run(main, count=8, voters=5)


SOON = {"timeout_s": 5, "wait_running_s": 0}


class Rows:
    """A list of `count` rows; `in_turn`: how many of them were asked for in each turn of the loop."""

    def __init__(self, count, index=1, size=100):
        self.count, self.index, self.size = count, index, size
        self.in_turn = [0]
        self.captured = 0

    def capture(self):
        self.captured += 1
        asyncio.get_running_loop().call_soon(self._turn)
        return Captured(self.index, (), "", self._rows())

    def _turn(self):
        self.in_turn.append(0)
        if sum(self.in_turn) < self.count:
            asyncio.get_running_loop().call_soon(self._turn)

    def _rows(self):
        for _ in range(self.count):
            self.in_turn[-1] += 1
            yield {"text": "x" * self.size}


def test_a_long_list_is_made_in_slices_of_a_turn():
    async def main():
        for rows in (Rows(10_000), Rows(100, size=40_000)):
            made = await lists.Lists().get("k", 1, tuple, rows.capture)
            assert len(made.rows(dict)) == rows.count
            assert max(rows.in_turn) <= lists.SLICE_ROWS
            assert max(rows.in_turn) * rows.size <= 2 * lists.CHUNK_BYTES

    asyncio.run(main())


def test_who_comes_while_a_list_is_made_shares_it_only_if_it_is_new_enough():
    async def main():
        kept, rows = lists.Lists(), Rows(1_000)
        first = asyncio.create_task(kept.get("k", 1, tuple, rows.capture))
        await asyncio.sleep(0)
        assert rows.captured == 1
        shares = asyncio.create_task(kept.get("k", 1, tuple, rows.capture))
        await asyncio.sleep(0)
        rows.index = 2
        newer = [asyncio.create_task(kept.get("k", 2, tuple, rows.capture)) for _ in range(50)]
        assert await first is await shares
        assert {made.index for made in await asyncio.gather(*newer)} == {2}
        assert rows.captured == 2

    asyncio.run(main())


def test_another_goes_on_where_the_first_has_given_up():
    async def main():
        kept, rows = lists.Lists(), Rows(1_000)
        first, *others = [asyncio.create_task(kept.get("k", 1, tuple, rows.capture)) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        others.pop().cancel()
        await asyncio.wait([first, *others])
        assert first.cancelled()
        assert len({id(other.result()) for other in others}) == 1
        del first, others
        kept._kept.clear()
        gc.collect()
        assert kept._held_bytes == 0

    asyncio.run(main())


def test_bytes_on_their_way_are_bounded_and_come_back(monkeypatch):
    monkeypatch.setattr(lists, "MAX_HELD_BYTES", 1_000_000)

    async def main():
        kept = lists.Lists()
        held = [await kept.get(number, 1, tuple, Rows(4_000).capture) for number in range(2)]
        waiting = [asyncio.create_task(kept.get(2, 1, tuple, Rows(4_000).capture)) for _ in range(3)]
        for refused in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(refused, Unavailable)
            assert "on their way to clients" in refused.detail
        waiting.clear()
        held.pop()
        gc.collect()  # tracebacks are circles
        held.append(await kept.get(2, 1, tuple, Rows(4_000).capture))
        held.clear()
        alone = await kept.get(3, 1, tuple, Rows(40_000).capture)  # has them all, and more
        assert alone.size_bytes > 1_000_000
        with pytest.raises(Unavailable):
            await kept.get(4, 1, tuple, Rows(4_000).capture)

    asyncio.run(main())


def test_a_list_is_not_kept_for_long(monkeypatch):
    monkeypatch.setattr(lists, "KEEP_S", 0.01)

    async def main():
        kept, rows = lists.Lists(), Rows(1_000)
        made = await kept.get("k", 1, tuple, rows.capture)
        assert await kept.get("k", 1, tuple, rows.capture) is made
        gone = asyncio.Event()
        weakref.finalize(made, gone.set)
        del made
        async with asyncio.timeout(60):
            await gone.wait()
        assert kept._held_bytes == 0

    asyncio.run(main())


def test_so_many_a_turn_go_through_a_turnstile_in_order():
    async def main():
        stile, passed, at_turn = Turnstile(10), [], []

        async def go(number):
            await stile.passed()
            passed.append(number)

        runners = [asyncio.create_task(go(number)) for number in range(95)]
        runners[50].cancel()
        while not all(runner.done() for runner in runners):
            before = len(passed)
            await asyncio.sleep(0)
            at_turn.append(len(passed) - before)
        assert passed == [number for number in range(95) if number != 50]
        assert max(at_turn) <= 20  # this runner sees two of its turns at times

    asyncio.run(main())


def test_who_waits_for_an_index_sleeps_until_then():
    async def main():
        watch = AppliedWatch()
        early, late = (asyncio.create_task(watch.reached(index)) for index in (2, 3))
        for number in range(1_000):
            gone = asyncio.create_task(watch.reached(10**6 + number))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.wait([gone])
        watch.advance(2)
        watch.nudge()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (early.done(), late.done()) == (True, False)
        watch.advance(5)
        await late
        assert len(watch._reaching) < 100

    asyncio.run(main())
