"""What every `Peers` must do. The checks of `PeersContract` run over TCP on loopback here, and against the
simulator's network in tests/sim; what only TCP has is in test_peers_tcp.py.
"""

import asyncio
import contextlib
import functools
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

import pytest
import uvloop

from orion.adapters.clock import SystemClock
from orion.adapters.peers import TcpPeers
from orion.adapters.peers.tls import Tls
from orion.model.errors import Conflict, FieldError, Invalid, NotFound, TooLarge, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.ports.peers import Channel, Greeted, Peers, PortProbe, Principal
from orion.raft.messages import AnyMessage, Entry, MsgApp, MsgHeartbeat
from orion.wire.frames import MAX_FRAME_BYTES

pytestmark = pytest.mark.usefixtures("patient_peers")

DEADLINE_S = 20.0
PIECE = 100_000  # bytes, of an item of a flood
MOST = 200  # of them: both ends' buffers and the kernel's
LAST_PIECES, LAST_BYTES = 8, 500_000  # more than waits at the other end to be taken
CLUSTER, OTHER_CLUSTER = 2**64 - 1, 77


class PeersBench(Protocol):
    """A network of living hosts."""

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits; closes what was started after."""

    async def start(self, host: "Host") -> None:
        """Make and start `host.peers` and `host.address`, the same again for the same number."""

    async def empty_address(self) -> str:
        """Where nobody listens, on a host that lives."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async check as a test."""

    def run(self: object, bench: PeersBench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


class Host:
    """One node's transport, and what came in through it. Node n7 has Raft id 7."""

    def __init__(self, number: int, *, cluster: int = 0) -> None:
        self.number = number
        self.cluster = cluster
        self.node = NodeId(f"n{number}")
        self.raft = RaftId(number)
        self.peers: Peers
        self.address = ""
        self.got: list[AnyMessage] = []
        self.lost: list[str] = []
        self.open = 0  # handlers that run
        self.release = asyncio.Event()
        self.sent = 0  # items of a flood
        self.taken: list[bytes] = []

    def on_message(self, message: AnyMessage) -> None:
        self.got.append(message)

    async def on_call(self, asker: Principal, request: bytes) -> bytes:
        with self.counted():
            if request == b"hang":
                await self.release.wait()
            if request == b"conflict":
                raise Conflict("it is there already")
            if request == b"invalid":
                raise Invalid([FieldError("/a", "is wrong"), FieldError("/b", "is missing")])
            return b"%s asked %s: %s" % (asker.node.encode(), self.node.encode(), request)

    async def on_stream(self, asker: Principal, request: bytes) -> AsyncGenerator[bytes, None]:
        with self.counted():
            if request == b"gone":
                raise NotFound("it is gone")
            if request == b"who":
                yield asker.node.encode()
                return
            for number in range(int(request)):
                yield b"%d" % number
            await self.release.wait()
            raise Conflict("it broke off")

    async def on_duplex(self, asker: Principal, request: bytes, channel: Channel) -> None:
        with self.counted():
            match request:
                case b"echo":
                    while (item := await channel.receive()) is not None:
                        await channel.send(b"%s sent %s" % (asker.node.encode(), item))
                    await channel.send(b"bye")
                case b"quiet":  # says nothing more, and listens
                    await channel.send(b"over to you")
                    await channel.finish()
                    while (item := await channel.receive()) is not None:
                        self.taken.append(item)
                case b"flood":
                    while True:
                        await channel.send(bytes(PIECE))
                        self.sent += 1
                case b"deaf":
                    await self.release.wait()
                    while (item := await channel.receive()) is not None:
                        self.taken.append(item)
                case b"last":
                    await channel.receive()
                    for _ in range(LAST_PIECES):
                        await channel.send(bytes(LAST_BYTES))
                case b"fails":
                    await channel.receive()
                    raise Conflict("it broke off")
                case _:
                    raise NotFound("it is gone")

    @contextlib.contextmanager
    def counted(self):
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    def beats(self, to: "Host", first: int, last: int) -> list[AnyMessage]:
        return [MsgHeartbeat(self.raft, to.raft, 1, 0, context=n) for n in range(first, last + 1)]

    @property
    def contexts(self) -> list[int]:
        return [m.context for m in self.got if isinstance(m, MsgHeartbeat)]


async def until(holds: Callable[[], object], again: Callable[[], object] = lambda: None) -> None:
    """Look until it holds, doing `again` between."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            again()
            await asyncio.sleep(0.01)


async def hosts(bench: PeersBench, *numbers: int, cluster: int = 0) -> list[Host]:
    made = [Host(number, cluster=cluster) for number in numbers]
    for host in made:
        await bench.start(host)
        host.peers.on_lost = host.lost.append
    return made


async def one_reaches(a: Host, b: Host) -> None:
    """Send until something arrives: messages are best effort while there is no connection yet."""
    before = len(b.got)
    await until(lambda: len(b.got) > before, lambda: a.peers.send(b.address, b.raft, a.beats(b, 0, 0)))
    b.got.clear()


class PeersContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    # --- messages -----------------------------------------------------------------------------------------

    @checked
    async def test_messages_arrive_whole_and_in_order(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        await one_reaches(a, b)
        large = MsgApp(1, 2, 1, 4, 1, (Entry(1, 5, 0, bytes(300_000)), Entry(1, 6)), 4)
        sent = [*a.beats(b, 1, 50), large, *a.beats(b, 51, 100)]
        for start in range(0, len(sent), 7):
            a.peers.send(b.address, b.raft, sent[start : start + 7])
        await until(lambda: len(b.got) >= len(sent))
        known = [m for m in b.got if m != a.beats(b, 0, 0)[0]]
        assert known == sent

    @checked
    async def test_messages_arrive_in_both_directions(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        await one_reaches(a, b)
        await one_reaches(b, a)

    @checked
    async def test_messages_for_another_member_at_this_address_are_dropped(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        await one_reaches(a, b)
        a.peers.send(b.address, RaftId(9), [MsgHeartbeat(1, 9, 1, 0, context=5)])
        await one_reaches(a, b)
        assert 5 not in b.contexts

    @checked
    async def test_sending_to_nobody_is_no_error(self, bench: PeersBench) -> None:
        (a,) = await hosts(bench, 1)
        empty = await bench.empty_address()
        a.peers.send(empty, RaftId(9), [MsgHeartbeat(1, 9, 1, 0)])
        await until(lambda: empty in a.lost)

    @checked
    async def test_messages_come_again_after_the_other_has_restarted(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        await one_reaches(a, b)
        await b.peers.close()
        await until(lambda: b.address in a.lost)
        (again,) = await hosts(bench, 2)
        assert again.address == b.address
        await one_reaches(a, again)

    # --- calls --------------------------------------------------------------------------------------------

    @checked
    async def test_a_call_is_answered(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        assert await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"
        assert await b.peers.call(a.address, b"", timeout_s=DEADLINE_S) == b"n2 asked n1: "
        assert await a.peers.call(a.address, b"y", timeout_s=DEADLINE_S) == b"n1 asked n1: y"

    @checked
    async def test_many_calls_at_once_get_their_own_answers(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        slow = asyncio.ensure_future(a.peers.call(b.address, b"hang", timeout_s=DEADLINE_S))
        questions = [b"%d" % n * 1_000 for n in range(200)]
        answers = await asyncio.gather(*(a.peers.call(b.address, q, timeout_s=DEADLINE_S) for q in questions))
        assert answers == [b"n1 asked n2: " + q for q in questions]
        assert not slow.done()
        b.release.set()
        assert await slow == b"n1 asked n2: hang"

    @checked
    async def test_a_refusal_is_raised_here_as_there(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        with pytest.raises(Conflict, match="it is there already"):
            await a.peers.call(b.address, b"conflict", timeout_s=DEADLINE_S)
        with pytest.raises(Invalid) as refused:
            await a.peers.call(b.address, b"invalid", timeout_s=DEADLINE_S)
        assert [(e.pointer, e.message) for e in refused.value.errors] == [("/a", "is wrong"), ("/b", "is missing")]

    @checked
    async def test_no_answer_in_time_is_unavailable_and_ends_the_handler(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
        with pytest.raises(Unavailable):
            await a.peers.call(b.address, b"hang", timeout_s=0.2)
        await until(lambda: b.open == 0)
        assert await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"

    @checked
    async def test_nobody_there_is_unavailable(self, bench: PeersBench) -> None:
        (a,) = await hosts(bench, 1)
        empty = await bench.empty_address()
        with pytest.raises(Unavailable):
            await a.peers.call(empty, b"x", timeout_s=DEADLINE_S)

    @checked
    async def test_a_call_fails_at_once_when_the_other_goes(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        hanging = asyncio.ensure_future(a.peers.call(b.address, b"hang", timeout_s=10 * DEADLINE_S))
        await until(lambda: b.open == 1)
        await b.peers.close()
        with pytest.raises(Unavailable):
            async with asyncio.timeout(DEADLINE_S):
                await hanging
        (again,) = await hosts(bench, 2)
        assert await a.peers.call(again.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"

    @checked
    async def test_a_call_that_is_given_up_ends(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        hanging = asyncio.ensure_future(a.peers.call(b.address, b"hang", timeout_s=DEADLINE_S))
        await until(lambda: b.open == 1)
        hanging.cancel()
        await asyncio.wait([hanging])
        assert hanging.cancelled()
        assert await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"

    # --- streams ------------------------------------------------------------------------------------------

    @checked
    async def test_a_stream_gives_its_items_in_order(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        assert [item async for item in a.peers.stream(b.address, b"who")] == [b"n1"]
        stream = a.peers.stream(b.address, b"500")
        assert [int(await anext(stream)) for _ in range(500)] == list(range(500))
        b.release.set()
        with pytest.raises(Conflict, match="it broke off"):
            await anext(stream)
        await until(lambda: b.open == 0)

    @checked
    async def test_a_stream_may_be_refused(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        with pytest.raises(NotFound, match="it is gone"):
            await anext(a.peers.stream(b.address, b"gone"))
        with pytest.raises(Unavailable):
            await anext(a.peers.stream(await bench.empty_address(), b"1"))

    @checked
    async def test_a_reader_that_leaves_ends_the_handler(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        stream = a.peers.stream(b.address, b"5")
        assert await anext(stream) == b"0"
        assert b.open == 1
        await stream.aclose()
        await until(lambda: b.open == 0)
        assert b.address not in a.lost

    @checked
    async def test_a_reader_that_is_cancelled_ends_the_handler(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)

        async def read() -> None:
            async with contextlib.aclosing(a.peers.stream(b.address, b"5")) as items:
                async for _ in items:
                    pass

        reader = asyncio.ensure_future(read())
        await until(lambda: b.open == 1)
        reader.cancel()
        await asyncio.wait([reader])
        await until(lambda: b.open == 0)

    @checked
    async def test_a_stream_breaks_when_the_other_goes(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        stream = a.peers.stream(b.address, b"1")
        assert await anext(stream) == b"0"
        await b.peers.close()
        with pytest.raises(Unavailable):
            async with asyncio.timeout(DEADLINE_S):
                await anext(stream)

    # --- streams that carry both ways ---------------------------------------------------------------------

    @checked
    async def test_items_go_both_ways_until_both_have_said_their_last(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"echo") as channel:
            for number in range(20):
                await channel.send(b"%d" % number)
                if number % 3 == 0:
                    assert await channel.receive() == b"n1 sent %d" % (number // 3)
            for number in range(7, 20):
                assert await channel.receive() == b"n1 sent %d" % number
            await channel.finish()
            assert [await channel.receive() for _ in range(3)] == [b"bye", None, None]
        await until(lambda: b.open == 0)
        assert not a.lost

    @checked
    async def test_one_runner_sends_while_another_receives(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"echo") as channel:

            async def send() -> None:
                for number in range(500):
                    await channel.send(b"%d" % number)
                await channel.finish()

            sending = asyncio.ensure_future(send())
            got = []
            while (item := await channel.receive()) is not None:
                got.append(item)
            await sending
        assert got == [*(b"n1 sent %d" % number for number in range(500)), b"bye"]

    @checked
    async def test_who_answers_may_say_its_last_first_and_go_on_listening(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"quiet") as channel:
            assert [await channel.receive() for _ in range(2)] == [b"over to you", None]
            for number in range(50):
                await channel.send(b"%d" % number)
            await channel.finish()
            await until(lambda: b.open == 0)
        assert b.taken == [b"%d" % number for number in range(50)]

    @checked
    async def test_a_stream_both_ways_may_be_refused_or_fail(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"?") as channel:
            with pytest.raises(NotFound, match="it is gone"):
                await channel.receive()
            assert await channel.receive() is None
        async with a.peers.duplex(b.address, b"fails") as channel:
            await channel.send(b"x")
            with pytest.raises(Conflict, match="it broke off"):
                await channel.receive()
        with pytest.raises(Unavailable):
            async with a.peers.duplex(await bench.empty_address(), b"echo"):
                pass
        await until(lambda: b.open == 0)

    @checked
    async def test_the_last_word_comes_through_though_more_is_on_its_way_there(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        for _ in range(10):
            async with a.peers.duplex(b.address, b"last") as channel:

                async def flood(channel: Channel = channel) -> None:
                    await channel.send(b"first")
                    for _ in range(MOST):
                        await channel.send(bytes(PIECE))

                flooding = asyncio.ensure_future(flood())
                await until(lambda: b.open == 0)
                said = [await channel.receive() for _ in range(LAST_PIECES + 1)]
                assert said == [*[bytes(LAST_BYTES)] * LAST_PIECES, None]
                flooding.cancel()
                await asyncio.wait([flooding])

    @checked
    async def test_nobody_sends_more_than_the_other_end_takes(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)

        async def stands_still(count: Callable[[], int]) -> int:
            """Over a hundred round trips."""
            before = -1
            while before < MOST and count() != before:
                before = count()
                for _ in range(100):
                    await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
            return before

        async with a.peers.duplex(b.address, b"flood") as channel:
            assert await stands_still(lambda: b.sent) < MOST
            for _ in range(MOST + 100):
                assert await channel.receive() == bytes(PIECE)
            assert b.sent > MOST
        sent = 0
        async with a.peers.duplex(b.address, b"deaf") as channel:

            async def flood() -> None:
                nonlocal sent
                while sent < 2 * MOST:
                    await channel.send(bytes(PIECE))
                    sent += 1
                await channel.finish()

            flooding = asyncio.ensure_future(flood())
            assert await stands_still(lambda: sent) < MOST
            b.release.set()
            await flooding
            assert await channel.receive() is None
        assert len(b.taken) == 2 * MOST

    @checked
    async def test_who_leaves_ends_what_answers(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"echo") as channel:
            await channel.send(b"x")
            assert await channel.receive() == b"n1 sent x"
            assert b.open == 1
        await until(lambda: b.open == 0)

        async def wait() -> None:
            async with a.peers.duplex(b.address, b"deaf") as channel:
                await channel.receive()

        waiting = asyncio.ensure_future(wait())
        await until(lambda: b.open == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await until(lambda: b.open == 0)
        assert b.address not in a.lost

    @checked
    async def test_both_ways_break_when_the_other_goes(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"deaf") as channel:
            await until(lambda: b.open == 1)

            async def flood() -> None:
                while True:
                    await channel.send(bytes(PIECE))

            flooding = asyncio.ensure_future(flood())
            await b.peers.close()
            for broken in (channel.receive(), flooding, channel.send(b"x"), channel.finish()):
                with pytest.raises(Unavailable):
                    async with asyncio.timeout(DEADLINE_S):
                        await broken
        assert b.open == 0

    @checked
    async def test_what_answers_ends_when_who_asked_goes(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"deaf"):
            await until(lambda: b.open == 1)
            await a.peers.close()
            await until(lambda: b.open == 0)

    @checked
    async def test_an_item_that_is_too_large_is_refused_where_it_is_sent(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        async with a.peers.duplex(b.address, b"echo") as channel:
            with pytest.raises(TooLarge):
                await channel.send(bytes(MAX_FRAME_BYTES))
            await channel.send(b"x")
            assert await channel.receive() == b"n1 sent x"

    # --- who is there -------------------------------------------------------------------------------------

    @checked
    async def test_refusing_is_told_from_listening(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        assert await a.peers.probe(b.address, tries=4) is PortProbe.ACCEPTED
        assert await a.peers.probe(await bench.empty_address(), tries=4) is PortProbe.REFUSED
        await b.peers.close()
        assert await a.peers.probe(b.address, tries=4) is PortProbe.REFUSED
        await hosts(bench, 2)
        assert await a.peers.probe(b.address, tries=4) is PortProbe.ACCEPTED

    @checked
    async def test_a_listening_node_says_who_it_is(self, bench: PeersBench) -> None:
        """To strangers too: they are told apart by it."""
        a, b = await hosts(bench, 1, 2, cluster=CLUSTER)
        (stranger,) = await hosts(bench, 3, cluster=OTHER_CLUSTER)
        b.peers.set_cluster(CLUSTER, 7)
        for other, cluster, recovery in ((b, CLUSTER, 7), (stranger, OTHER_CLUSTER, 0)):
            who = await a.peers.who(other.address, timeout_s=DEADLINE_S)
            assert who == Greeted(other.node, other.raft, cluster, recovery, other.peers.run, who.address)
        with pytest.raises(Unavailable):
            await a.peers.who(await bench.empty_address(), timeout_s=DEADLINE_S)
        await b.peers.close()
        with pytest.raises(Unavailable):
            await a.peers.who(b.address, timeout_s=DEADLINE_S)

    @checked
    async def test_another_cluster_is_not_spoken_with(self, bench: PeersBench) -> None:
        a, b, c = [
            (await hosts(bench, n, cluster=cluster))[0] for n, cluster in ((1, CLUSTER), (2, CLUSTER), (3, 0))
        ]
        (stranger,) = await hosts(bench, 4, cluster=OTHER_CLUSTER)
        assert await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"
        assert await c.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n3 asked n2: x"
        assert await c.peers.call(stranger.address, b"x", timeout_s=DEADLINE_S) == b"n3 asked n4: x"
        for one, other in ((a, stranger), (stranger, a)):
            with pytest.raises(Unavailable):
                await one.peers.call(other.address, b"x", timeout_s=DEADLINE_S)
            with pytest.raises(Unavailable):
                await anext(one.peers.stream(other.address, b"1"))
        stranger.peers.send(a.address, a.raft, stranger.beats(a, 5, 5))
        await one_reaches(b, a)
        assert 5 not in a.contexts

    @checked
    async def test_a_peer_that_joins_another_cluster_is_not_spoken_with_any_more(self, bench: PeersBench) -> None:
        (a,) = await hosts(bench, 1, cluster=CLUSTER)
        (b,) = await hosts(bench, 2)
        assert await b.peers.call(a.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"
        b.peers.set_cluster(OTHER_CLUSTER)
        with pytest.raises(Unavailable):
            await b.peers.call(a.address, b"x", timeout_s=DEADLINE_S)

    @checked
    async def test_closing_ends_what_runs_here(self, bench: PeersBench) -> None:
        a, b = await hosts(bench, 1, 2)
        calling = asyncio.ensure_future(a.peers.call(b.address, b"hang", timeout_s=DEADLINE_S))
        stream = a.peers.stream(b.address, b"1")
        await anext(stream)
        await until(lambda: b.open == 2)
        await b.peers.close()
        await until(lambda: b.open == 0)
        await a.peers.close()
        with pytest.raises(Unavailable):
            await calling
        await stream.aclose()


class TcpBench:
    def __init__(self, make_loop=asyncio.new_event_loop, tls=None):
        self.make_loop = make_loop
        self.tls = tls
        self.started = []
        self.ports = {}

    def run(self, check):
        async def whole():
            try:
                async with asyncio.timeout(60):
                    await check()
            finally:
                for peers in self.started:
                    await peers.close()

        with asyncio.Runner(loop_factory=self.make_loop) as runner:
            runner.run(whole())

    async def start(self, host):
        host.peers = TcpPeers(
            node=host.node,
            raft=host.raft,
            host="127.0.0.1",
            port=self.ports.get(host.number, 0),
            clock=SystemClock(),
            cluster=host.cluster,
            tls=self.tls,
        )
        await host.peers.start(host.on_message, host.on_call, host.on_stream, host.on_duplex)
        self.ports[host.number] = host.peers.port
        host.address = f"127.0.0.1:{host.peers.port}"
        self.started.append(host.peers)

    async def empty_address(self):
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return f"127.0.0.1:{port}"


class TestTcpPeers(PeersContract):
    @pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
    def bench(self, request):
        return TcpBench(request.param)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Nodes that know each other by their certificate."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=orion-test -addext subjectAltName=IP:127.0.0.1"
    files = ("-keyout", key, "-out", certificate)
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.verify_mode = ssl.CERT_REQUIRED
    for context in (server, client):
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(certificate)
    return Tls(server, client)


class TestTcpPeersOverTls(PeersContract):
    @pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
    def bench(self, request, tls):
        return TcpBench(request.param, tls)
