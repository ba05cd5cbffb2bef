"""Who is let in at the peer port, and what one hears that is not."""

import asyncio

import pytest
import uvloop

from contract.test_peers import DEADLINE_S, TcpBench, hosts, one_reaches, until
from orion.model.errors import Unavailable
from orion.ports.peers import Greeted

pytestmark = pytest.mark.usefixtures("patient_peers")

ELSEWHERE = "10.1.2.3:7000"


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def bench(request):
    return TcpBench(request.param)


class Gate:
    """Knows nobody, and says of everybody what it is told to once it is."""

    def __init__(self, rival=""):
        self.rivals = rival
        self.asked = []
        self.opened = asyncio.Event()

    def knows(self, greeted):
        return False

    async def rival(self, greeted):
        self.asked.append(greeted)
        await self.opened.wait()
        return self.rivals


async def pair(bench, rival=""):
    a, b = await hosts(bench, 1, 2)
    b.peers.gate = Gate(rival)
    return a, b, b.peers.gate


def test_no_frame_of_a_peer_is_handled_before_it_is_let_in(bench):
    async def check():
        a, b, gate = await pair(bench)
        a.peers.send(b.address, b.raft, a.beats(b, 1, 3))
        call = asyncio.ensure_future(a.peers.call(b.address, b"x", timeout_s=DEADLINE_S))
        stream = a.peers.stream(b.address, b"who")
        item = asyncio.ensure_future(anext(stream))
        await until(lambda: len(gate.asked) == 3)
        assert (b.got, b.open, call.done(), item.done()) == ([], 0, False, False)
        assert {(g.node, g.raft_id, g.run) for g in gate.asked} == {("n1", 1, a.peers.run)}
        gate.opened.set()
        assert await call == b"n1 asked n2: x"
        assert await item == b"n1"
        await stream.aclose()
        await until(lambda: b.contexts == [1, 2, 3])

    bench.run(check)


@pytest.mark.parametrize("lane", ["raft", "call", "stream"])
def test_a_peer_that_is_turned_away_is_told_the_address_of_its_rival(bench, lane):
    async def check():
        a, b, gate = await pair(bench, ELSEWHERE)
        gate.opened.set()
        told = []
        a.peers.on_refused = told.append
        if lane == "raft":
            await until(lambda: told, lambda: a.peers.send(b.address, b.raft, a.beats(b, 1, 1)))
        elif lane == "call":
            with pytest.raises(Unavailable):
                await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
        else:
            with pytest.raises(Unavailable):
                await anext(a.peers.stream(b.address, b"who"))
        assert set(told) == {ELSEWHERE}
        assert (b.got, b.open) == ([], 0)
        b.peers.gate = None
        await one_reaches(a, b)

    bench.run(check)


def test_a_peer_that_hangs_up_before_it_is_let_in_is_forgotten(bench):
    async def check():
        a, b, gate = await pair(bench)
        with pytest.raises(Unavailable):
            await a.peers.call(b.address, b"x", timeout_s=0.05)
        await a.peers.close()
        gate.opened.set()
        await b.peers.close()
        assert b.open == 0

    bench.run(check)


def test_a_node_says_who_it_is_whatever_the_gate_says(bench):
    async def check():
        a, b, gate = await pair(bench, ELSEWHERE)
        who = await a.peers.who(b.address, timeout_s=DEADLINE_S)
        assert who == Greeted(b.node, b.raft, run=b.peers.run)
        assert (gate.asked, a.lost) == ([], [])
        with pytest.raises(Unavailable):
            await a.peers.who(await bench.empty_address(), timeout_s=DEADLINE_S)

    bench.run(check)
