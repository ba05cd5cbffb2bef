"""The fakes do what they promise, good and bad. (That they fulfil the ports is shown by tests/contract.)"""

import asyncio
from collections import Counter

import pytest

from orion.model.allocation import Allocation
from orion.model.container import Labels
from orion.model.errors import Conflict, EngineDown, EngineError, Unavailable
from orion.model.ids import AllocationId, JobName, NodeId, RaftId
from orion.model.job import PortBinding, TaskSpec
from orion.ports.log import LogBatch
from orion.ports.peers import PortProbe
from orion.raft.messages import Entry, HardState, MsgHeartbeat, MsgReadIndexResp
from sim.disk import Disk
from sim.engine import FOREVER, MISSING, SimEngine, SimEngineClient
from sim.gossip import Gossip, SimMembership
from sim.loop import Process
from sim.network import Network, Quality
from sim.peers import SimPeers
from sim.simlog import SimLog
from sim.world import World


def run(main, seed=1):
    world = World(seed)
    world.install()
    try:
        return world.loop.run_until_complete(main(world))
    finally:
        world.loop.close()


def in_process(process, coro):
    """Await something that runs inside a process, from outside."""
    return asyncio.shield(process.spawn(coro))


# --- network -----------------------------------------------------------------------------------------------


class Host:
    def __init__(self, network, number):
        self.process = Process(network.world.loop, f"n{number}")
        self.address = f"10.0.0.{number}:7000"
        self.peers = SimPeers(network, self.process, f"n{number}", self.address, number)
        self.got = []
        self.lost = []
        self.peers.on_lost = self.lost.append

    async def start(self):
        await self.peers.start(self.got.append, self.on_call, self.on_stream, None)
        return self

    async def on_call(self, asker, request):
        if request == b"refuse":
            raise Conflict("no")
        if request == b"sleep":
            await asyncio.sleep(100)
        return asker.node.encode() + b" asked " + request

    async def on_stream(self, asker, request):
        for number in range(1_000):
            yield b"%d" % number


async def pair(world):
    network = Network(world)
    return network, await Host(network, 1).start(), await Host(network, 2).start()


def beat(context, to=2):
    return MsgHeartbeat(3 - to, to, 1, commit=0, context=context)


def test_messages_keep_their_order_on_a_calm_network():
    async def main(world):
        _, a, b = await pair(world)
        a.peers.send(b.address, RaftId(2), [beat(n) for n in range(100)])
        await asyncio.sleep(1)
        return [m.context for m in b.got]

    assert run(main) == list(range(100))


def test_a_bad_network_loses_duplicates_reorders_and_replays():
    async def main(world):
        network, a, b = await pair(world)
        network.quality = Quality(loss=0.2, duplicate=0.2, reorder=0.2, replay=0.1)
        for number in range(500):
            a.peers.send(b.address, RaftId(2), [beat(number)])
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        return [m.context for m in b.got], world.counts

    got, counts = run(main)
    assert len(set(got)) < 500
    assert max(Counter(got).values()) > 1
    assert got != sorted(got)
    kinds = ("message dropped", "message duplicated", "message reordered", "old message replayed")
    assert all(counts[kind] > 10 for kind in kinds)


def test_a_read_answer_is_never_replayed():
    async def main(world):
        network, a, b = await pair(world)
        network.quality = Quality(replay=1.0)
        a.peers.send(b.address, RaftId(2), [MsgReadIndexResp(1, 2, 1, 1, 1)] * 50)
        await asyncio.sleep(1)
        return len(b.got)

    assert run(main) == 50


def test_a_one_way_cut_stops_messages_one_way_and_connections_both_ways():
    async def main(world):
        network, a, b = await pair(world)
        network.cut({("10.0.0.1", "10.0.0.2")})
        a.peers.send(b.address, RaftId(2), [beat(1)])
        b.peers.send(a.address, RaftId(1), [beat(2, to=1)])
        with pytest.raises(Unavailable):
            await in_process(b.process, b.peers.call(a.address, b"x", timeout_s=0.5))
        return a.got, b.got

    to_a, to_b = run(main)
    assert [m.context for m in to_a] == [2]
    assert to_b == []


def test_calls_answer_raise_what_was_raised_and_time_out():
    async def main(world):
        _, a, b = await pair(world)
        assert await in_process(a.process, a.peers.call(b.address, b"x", timeout_s=1)) == b"n1 asked x"
        with pytest.raises(Conflict, match="no"):
            await in_process(a.process, a.peers.call(b.address, b"refuse", timeout_s=1))
        with pytest.raises(Unavailable, match="within 1 s"):
            await in_process(a.process, a.peers.call(b.address, b"sleep", timeout_s=1))

    run(main)


def test_a_death_breaks_connections_and_is_noticed():
    async def main(world):
        _, a, b = await pair(world)
        a.peers.send(b.address, RaftId(2), [beat(1)])
        call = in_process(a.process, a.peers.call(b.address, b"sleep", timeout_s=60))
        await asyncio.sleep(0.1)
        b.process.kill()
        b.peers.vanish()
        with pytest.raises(Unavailable, match="reset"):
            await call
        assert await in_process(a.process, a.peers.probe(b.address, tries=4)) is PortProbe.REFUSED
        return world.loop.time(), a.lost, b.address

    at, lost, address = run(main)
    assert at < 1
    assert lost == [address]


def test_a_stalled_process_and_a_dark_host_do_not_refuse():
    async def main(world):
        network, a, b = await pair(world)
        b.process.stall()
        assert await in_process(a.process, a.peers.probe(b.address, tries=4)) is PortProbe.ACCEPTED
        with pytest.raises(Unavailable, match="does not answer"):
            await in_process(a.process, a.peers.who(b.address, timeout_s=1))
        b.process.resume()
        assert (await in_process(a.process, a.peers.who(b.address, timeout_s=1))).node == "n2"
        b.process.kill()
        b.peers.vanish()
        network.dark.add("10.0.0.2")
        assert await in_process(a.process, a.peers.probe(b.address, tries=4)) is PortProbe.SILENT

    run(main)


def test_a_stream_is_whole_in_order_and_ends_with_its_server():
    async def main(world):
        _, a, b = await pair(world)

        async def read(limit):
            got = []
            stream = a.peers.stream(b.address, b"all")
            try:
                async for item in stream:
                    got.append(int(item))
                    if len(got) == limit:
                        break
            finally:
                await stream.aclose()
            return got

        assert await in_process(a.process, read(5_000)) == list(range(1_000))
        assert await in_process(a.process, read(10)) == list(range(10))
        await asyncio.sleep(1)
        assert not b.peers.connections
        reader = in_process(a.process, read(5_000))
        await asyncio.sleep(0.02)
        b.process.kill()
        b.peers.vanish()
        with pytest.raises(Unavailable):
            await reader

    run(main)


# --- disk --------------------------------------------------------------------------------------------------


def batch(first, count, term=1, must_sync=True):
    entries = tuple(Entry(term, index, 0, b"x") for index in range(first, first + count))
    return LogBatch(HardState(term, 0, 0), entries, must_sync)


def test_what_was_synced_outlives_a_power_loss_and_what_was_only_written_may_not():
    async def main(world):
        outcomes = set()
        for number in range(30):
            disk = Disk(world, f"d{number}")
            log = SimLog(disk, Process(world.loop, "p"))
            await log.persist(batch(1, 3))
            await log.persist(batch(4, 1, must_sync=False))
            assert (disk.durable.last, disk.written.last) == (3, 4)
            disk.lose_power()
            outcomes.add(disk.written.last)
        return outcomes

    assert run(main) == {3, 4}


def test_a_killed_process_leaves_the_page_cache_and_the_next_one_syncs_it():
    async def main(world):
        disk = Disk(world, "d")
        first = Process(world.loop, "p")
        log = SimLog(disk, first)
        log.at_boundary = lambda log, point: first.kill() if point == "Write written" else None
        log.persist(batch(1, 2))
        await asyncio.sleep(1)
        assert (disk.written.last, disk.durable.last) == (2, 0)
        persistent = await SimLog(disk, Process(world.loop, "p")).load()
        assert len(persistent.entries) == disk.durable.last == 2

    run(main)


# --- gossip ------------------------------------------------------------------------------------------------


class Member:
    def __init__(self, gossip, number, seeds):
        self.process = Process(gossip.world.loop, f"n{number}")
        self.address = f"10.0.0.{number}:6000"
        self.port = SimMembership(gossip, self.process, NodeId(f"n{number}"), self.address, seeds)
        self.kinds = []

    async def start(self):
        await self.port.start({"x": "1"})
        events = self.port.events()

        async def read():
            async for event in events:
                self.kinds.append((event.kind, event.member and event.member.node))

        self.process.spawn(read())
        await in_process(self.process, self.port.join())

    def die(self):
        self.process.kill()
        self.port.vanish()

    def states(self):
        return {m.node: m.state for m in self.port.members()}


async def three(world):
    gossip = Gossip(Network(world))
    members = [Member(gossip, n, ("10.0.0.1:6000",)) for n in (1, 2, 3)]
    for member in members:
        await member.start()
    await asyncio.sleep(2)
    return gossip, members


def test_members_find_each_other_and_a_death_is_seen_by_all():
    async def main(world):
        gossip, (a, b, c) = await three(world)
        assert a.states() == b.states() == {"n1": "alive", "n2": "alive", "n3": "alive"}
        c.die()
        await asyncio.sleep(3)
        assert a.states()["n3"] == b.states()["n3"] == "dead"
        assert a.kinds == [("joined", "n2"), ("joined", "n3"), ("suspect", "n3"), ("dead", "n3")]
        before = next(m for m in a.port.members() if m.node == "n3")
        again = Member(gossip, 3, ("10.0.0.1:6000",))
        await again.start()
        await asyncio.sleep(2)
        after = next(m for m in a.port.members() if m.node == "n3")
        assert after.state == "alive"
        assert after.epoch > before.epoch
        assert a.kinds[-1] == ("joined", "n3")

    run(main)


def test_a_quick_restart_shows_as_left_and_joined():
    async def main(world):
        gossip, (a, _, c) = await three(world)
        c.die()
        again = Member(gossip, 3, ("10.0.0.1:6000",))
        await again.start()
        await asyncio.sleep(2)
        assert a.kinds[-2:] == [("left", "n3"), ("joined", "n3")]

    run(main)


def test_a_stalled_member_is_called_dead_and_comes_back():
    async def main(world):
        _, (a, b, c) = await three(world)
        c.process.stall()
        await asyncio.sleep(4)
        assert a.states()["n3"] == "dead"
        c.process.resume()
        await asyncio.sleep(4)
        assert a.states()["n3"] == b.states()["n3"] == "alive"
        assert c.states() == {"n1": "alive", "n2": "alive", "n3": "alive"}

    run(main)


def test_a_leaver_is_left_at_once_and_metadata_travels():
    async def main(world):
        _, (a, b, c) = await three(world)
        await b.port.set_metadata({"x": "2"})
        await asyncio.sleep(1)
        assert next(m for m in a.port.members() if m.node == "n2").metadata == {"x": "2"}
        await in_process(c.process, c.port.leave())
        c.die()
        await asyncio.sleep(1)
        assert a.states()["n3"] == "left"
        assert ("dead", "n3") not in a.kinds

    run(main)


# --- engine ------------------------------------------------------------------------------------------------


def labels(number):
    return Labels(7, NodeId("n1"), "web", 0, number)


def allocation(number, ports=()):
    return Allocation(AllocationId(number), JobName("web"), 0, 0, NodeId("n1"), ports)


SPEC = TaskSpec(FOREVER, ports=(PortBinding(80, "tcp", 8080),))


def test_a_host_port_is_bound_once_and_refused_in_dockers_words():
    async def main(world):
        engine = SimEngine(world, "e")
        client = SimEngineClient(engine, Process(world.loop, "p"))
        await client.pull(FOREVER, lambda _: None)
        one = await client.create(allocation(1, (8080,)), SPEC, labels(1), name="one")
        two = await client.create(allocation(2, (8080,)), SPEC, labels(2), name="two")
        await client.start(one)
        with pytest.raises(EngineError, match="port is already allocated"):
            await client.start(two)
        await client.stop(one, 100)
        await client.start(two)
        with pytest.raises(EngineError, match="already in use"):
            await client.create(allocation(3, (8080,)), SPEC, labels(3), name="two")
        assert {c.state for c in await client.containers(7)} == {"exited", "running"}
        assert await client.containers(8) == []

    run(main)


def test_an_engine_finishes_what_a_dead_process_asked_for():
    async def main(world):
        engine = SimEngine(world, "e")
        process = Process(world.loop, "p")
        engine.images[FOREVER] = None
        process.spawn(SimEngineClient(engine, process).create(allocation(1, (8080,)), SPEC, labels(1), name="one"))
        await asyncio.sleep(0.001)
        process.kill()
        await asyncio.sleep(1)
        return [held.name for held in engine.containers.values()]

    assert run(main) == ["one"]


def test_an_engine_that_is_down_says_so_and_ends_its_event_stream():
    async def main(world):
        engine = SimEngine(world, "e")
        client = SimEngineClient(engine, Process(world.loop, "p"))
        with pytest.raises(EngineError, match="pull access denied"):
            await client.pull(MISSING, lambda _: None)
        changes = client.changes(7)
        assert await anext(changes) == ""
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.1)
        engine.go_down(containers_die=False)
        with pytest.raises(EngineDown):
            await waiting
        with pytest.raises(EngineDown):
            await client.info()
        engine.come_up()
        assert (await client.info()).id == "e"

    run(main)
