"""Streams of events, and when they end."""

import asyncio

import pytest
from cluster_kit import run

from orion.model.errors import Unavailable
from orion.model.events import Event, EventChoice
from orion.node.consensus.applied import AppliedWatch
from orion.node.rpc.request import encode_request
from orion.node.services.events import WatchEvents
from orion.ports.peers import Principal


def of(machine, question):
    return asyncio.shield(machine.run.process.spawn(question))


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


class Reader:
    """Follows the events at one node, in that node's process."""

    def __init__(self, machine, after=None, events=None):
        self.got = []
        self.after = after
        events = events or machine.node.service.events(after, follow=True)
        self.runner = machine.run.process.spawn(self._read(events))

    async def _read(self, events):
        async for event in events:
            self.got.append(event)
            if isinstance(event, Event):
                self.after = (event.index, event.part)

    @property
    def ended(self):
        return self.runner.done()

    def why(self):
        assert isinstance(self.runner.exception(), Unavailable)
        return self.runner.exception().detail


async def drain(nodes, *names):
    leader = nodes.leader
    for name in names:
        await of(leader, leader.node.service.drain(name, draining=True, timeout_s=5))


def subjects(reader):
    return [event.subject for event in reader.got if isinstance(event, Event) and event.kind == "NodeDrained"]


def test_a_quiet_stream_goes_on():
    async def main(nodes):
        worker = worker_of(nodes)
        reader = Reader(worker)
        await asyncio.sleep(20)
        for _ in range(100):  # the state moves, and nothing that is an event happens
            await asyncio.sleep(0.1)
            nodes.leader.node.driver.watch.nudge()
        assert not reader.ended
        await drain(nodes, "node1")
        await nodes.until(lambda: subjects(reader) == ["node1"])
        assert None not in reader.got

    run(main, count=8, voters=5)


def test_a_voter_that_was_replaced_meanwhile_ends_its_streams():
    async def main(nodes):
        voters = nodes.leader.node.driver.raft.conf.voters
        voter = next(m for m in nodes.machines if m is not nodes.leader and m.raft in voters)
        own = Reader(voter, (0, 0))
        asked = voter.node.registry.on_stream(Principal("node9"), encode_request(WatchEvents((0, 0), follow=True)))
        served = Reader(voter, events=asked)
        await nodes.until(lambda: own.got and served.got)
        nodes.isolate(voter)
        await nodes.until(lambda: voter.raft not in nodes.leader.node.driver.raft.conf.voters, 60)
        nodes.heal()
        await nodes.until(lambda: not voter.node.driver.is_member)
        await nodes.until(lambda: own.ended and served.ended, 5)
        assert own.why() == f"{voter.name} is cut off from the cluster's leader"
        resumed = Reader(voter, own.after)
        await drain(nodes, "node1")
        await nodes.until(lambda: "node1" in subjects(resumed))
        assert None not in resumed.got

    run(main, count=8, voters=5)


def test_leaving_raft_ends_a_served_stream():
    async def main(nodes):
        voter = next(m for m in nodes.machines if m is not nodes.leader and m.node.driver.is_member)
        served = Reader(
            voter,
            events=voter.node.registry.on_stream(
                Principal("node9"), encode_request(WatchEvents(None, follow=True))
            ),
        )
        own = Reader(voter)
        await asyncio.sleep(1)
        voter.node.driver.exclude()
        await nodes.until(lambda: own.ended and served.ended, 2)
        assert served.why() == own.why() == f"{voter.name} does not follow the cluster's log"

    run(main)


def test_a_stopped_voter_is_not_waited_for():
    async def main(nodes):
        worker, leader = worker_of(nodes), nodes.leader
        reader = Reader(worker, (0, 0))
        await nodes.until(lambda: reader.got)
        leader.run.process.stall()
        await nodes.until(lambda: reader.ended, 10)
        assert reader.why().endswith("has said nothing for 3 s")
        await nodes.until(lambda: nodes.leader not in (None, leader))
        resumed = Reader(worker, reader.after)
        await drain(nodes, worker.name)
        await nodes.until(lambda: worker.name in subjects(resumed), 15)
        leader.run.process.resume()

    run(main, count=8, voters=5)


def test_a_voter_that_is_cut_off_is_left():
    async def main(nodes):
        worker, voter = worker_of(nodes), nodes.leader
        reader, own = Reader(worker, (0, 0)), Reader(voter, (0, 0))
        await nodes.until(lambda: reader.got and own.got)
        nodes.cut(voter, *[m for m in nodes.machines if m not in (voter, worker)])
        await nodes.until(lambda: nodes.leader not in (None, voter))
        await nodes.until(lambda: reader.ended and own.ended, 10)
        assert reader.why() == own.why() == f"{voter.name} is cut off from the cluster's leader"
        resumed = Reader(worker, reader.after)
        await drain(nodes, worker.name)
        await nodes.until(lambda: worker.name in subjects(resumed), 15)

    run(main, count=8, voters=5)


def test_another_voter_is_asked_where_the_first_does_not_answer():
    async def main(nodes):
        worker = worker_of(nodes)
        await nodes.until(lambda: len(worker.node.directory.voters()) > 1)  # gossip may be later than the log
        first = worker.node.directory.voters()[0]
        stalled = next(m for m in nodes.machines if m.config.node == first.member.node)
        stalled.run.process.stall()
        reader = Reader(worker, events=worker.node.service.events((0, 0), follow=False))
        await nodes.until(lambda: reader.ended)
        assert reader.runner.result() is None
        assert reader.got
        stalled.run.process.resume()

    run(main, count=8, voters=5)


def test_only_those_that_were_chosen():
    """At a voter, and at a worker, whose voter leaves the others out."""

    async def main(nodes):
        worker = worker_of(nodes)
        await drain(nodes, "node1", "node2", "node3")

        def chosen(machine, follow=False, **wish):
            stream = machine.node.service.events(None, follow=follow, chosen=EventChoice(**wish))
            return Reader(machine, events=stream)

        for machine in (nodes.leader, worker):
            of_two = chosen(machine, subjects=("node2", "node3"))
            last = chosen(machine, tail=2)
            going = chosen(machine, follow=True, tail=1, subjects=("node1", "node2"))
            await nodes.until(lambda: of_two.ended and last.ended and going.got)  # noqa: B023
            assert subjects(of_two) == ["node2", "node3"]
            assert {event.subject for event in of_two.got} == {"node2", "node3"}
            assert [event.subject for event in last.got] == ["node2", "node3"]
            assert subjects(going) == ["node2"]
            at_ms = last.got[1].at_ms
            since = chosen(machine, since_ms=at_ms)
            await nodes.until(lambda: since.ended)  # noqa: B023
            assert since.got
            assert all(event.at_ms >= at_ms for event in since.got)
        for name in ("node3", "node1"):
            await of(nodes.leader, nodes.leader.node.service.drain(name, draining=False, timeout_s=5))
        await nodes.until(lambda: [event.kind for event in going.got] == ["NodeDrained", "NodeReadied"])
        assert going.got[-1].subject == "node1"

    run(main, count=8, voters=5)


@pytest.mark.parametrize(
    ("name", "subjects_taken"),
    [("web", ["web", "web/0"]), ("web/0", ["web", "web/0"]), ("web/1", ["web"]), ("we", []), ("webs", ["webs"])],
)
def test_a_job_s_name_stands_for_its_tasks(name, subjects_taken):
    chosen = EventChoice(subjects=(name,))
    known = ("web", "web/0", "webs", "node1")
    assert [s for s in known if chosen.takes(Event(1, 0, 0, "k", s, "t"))] == subjects_taken


def test_batches_end_with_their_condition_and_say_when_nothing_comes():
    async def main():
        watch = AppliedWatch()
        watch.advance(1, [Event(1, 0, 0, "k", "s", "t")])
        going = [True]
        batches = watch.batches((0, 0), follow=True, lasts=lambda: going[0], pulse_s=0.01)
        assert [e.index for e in await anext(batches)] == [1]
        assert await anext(batches) == []
        watch.advance(3, [Event(2, 0, 0, "k", "s", "t"), Event(3, 0, 0, "k", "s", "t")])
        assert [e.index for e in await anext(batches)] == [2, 3]
        going[0] = False
        with pytest.raises(StopAsyncIteration):
            await anext(batches)

    asyncio.run(main())
