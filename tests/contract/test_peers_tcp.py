"""What only the transport over TCP has: strangers on the port, limits, processes and hosts that vanish."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from contract.test_peers import CLUSTER, DEADLINE_S, Host, TcpBench, checked, hosts, one_reaches, until
from orion.adapters.clock import SystemClock
from orion.adapters.peers import TcpPeers, calls, connection, dial
from orion.adapters.peers.dial import DIAL_TIMEOUT_S
from orion.adapters.peers.outbox import MAX_QUEUED_BYTES, MAX_QUEUED_FRAMES, Outbox
from orion.model.errors import OrionError, Refused, TooLarge, Unavailable
from orion.model.ids import NodeId, RaftId
from orion.ports.peers import PortProbe
from orion.raft.messages import MsgHeartbeat
from orion.wire.envelopes import LANE_CALL, LANE_RAFT, LANE_STREAM, MAGIC, Hello, encode_hello, encode_messages
from orion.wire.frames import HEADER, MAX_FRAME_BYTES, Kind, encode_frame

pytestmark = pytest.mark.usefixtures("patient_peers")


@pytest.fixture
def bench():
    return TcpBench()


@contextlib.asynccontextmanager
async def raw(host):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.address.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer_to(host, *parts):
    """All that comes back until the connection is closed."""
    async with asyncio.timeout(DEADLINE_S), raw(host) as (reader, writer):
        for part in parts:
            writer.write(part)
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


def hello(lane, *, node="n9", raft=9, cluster=0, ahead_ms=0):
    return encode_hello(Hello(lane, cluster, NodeId(node), RaftId(raft), time.time_ns() // 1_000_000 + ahead_ms))


def lines(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("orion") and r.levelno >= logging.WARNING]


# --- strangers ---------------------------------------------------------------------------------------------


class TestStrangers:
    @pytest.mark.parametrize(
        "garbage",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"\x00" * 100,
            b"\xff" * 100_000,
            os.urandom(5_000),
            encode_frame(Kind.HELLO, b"hello"),
            encode_frame(Kind.CALL, b"x"),
            encode_frame(Kind.HELLO, MAGIC + b"\x01" + b"\xc1"),
            encode_frame(Kind.HELLO, MAGIC + b"\x63 from the future"),
            HEADER.pack(MAX_FRAME_BYTES, Kind.HELLO),
        ],
        ids=range(10),
    )
    def test_garbage_closes_the_connection_and_nothing_else(self, bench, caplog, garbage):
        async def check():
            a, b = await hosts(bench, 1, 2)
            await one_reaches(b, a)
            assert await answer_to(a, garbage) == b""
            assert await b.peers.call(a.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"
            await one_reaches(b, a)

        bench.run(check)
        (line,) = lines(caplog)
        assert line.startswith("closed a peer connection from 127.0.0.1:")

    @pytest.mark.parametrize("lane", [LANE_RAFT, LANE_CALL, LANE_STREAM])
    @pytest.mark.parametrize(
        "garbage", [b"\xff" * 50, encode_frame(Kind.END, b""), *(encode_frame(k, b"\xc1\xff") for k in Kind)]
    )
    def test_garbage_after_a_hello_closes_the_connection(self, bench, caplog, lane, garbage):
        async def check():
            (a,) = await hosts(bench, 1)
            answered = await answer_to(a, hello(lane), garbage)
            assert MAGIC in answered  # the hello came back
            assert (a.got, a.open) == ([], 0)

        asked = [encode_frame(kind, b"\xc1\xff") for kind in (Kind.REQUEST, Kind.DUPLEX)]
        if lane == LANE_STREAM and garbage in asked:
            return  # a stream's request is the handler's to understand
        bench.run(check)
        (line,) = lines(caplog)
        assert line.startswith("closed a peer connection from 127.0.0.1:")

    @pytest.mark.parametrize("lane", [LANE_RAFT, LANE_CALL, LANE_STREAM])
    def test_a_frame_that_is_cut_short_is_dropped(self, bench, caplog, lane):
        async def check():
            (a,) = await hosts(bench, 1)
            for cut in (0, 3, 20, len(hello(lane)), len(hello(lane)) + 8):
                async with raw(a) as (_, writer):
                    writer.write((hello(lane) + HEADER.pack(1_000, Kind.CALL) + b"x" * 500)[:cut])
                    await writer.drain()
            assert await a.peers.call(a.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n1: x"

        bench.run(check)
        assert lines(caplog) == []

    def test_a_connection_without_a_hello_is_closed(self, bench, monkeypatch):
        monkeypatch.setattr(connection, "HELLO_TIMEOUT_S", 0.05)

        @checked
        async def check(_, bench):
            (a,) = await hosts(bench, 1)
            assert await answer_to(a, hello(LANE_CALL)[:9]) == b""

        check(None, bench)

    def test_connections_past_the_bound_are_closed(self, bench, monkeypatch):
        """Each is a file, and the node needs others."""
        monkeypatch.setattr("orion.process.fd_limits.FEWEST_CONNECTIONS", 3)
        monkeypatch.setattr("resource.getrlimit", lambda _: (6, 6))

        async def check():
            a, b = await hosts(bench, 1, 2)
            assert await b.peers.call(a.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"
            async with contextlib.AsyncExitStack() as stack:
                closed = []
                for number in range(3, 8):
                    reader, writer = await stack.enter_async_context(raw(a))
                    writer.write(hello(LANE_CALL, node=f"n{number}", raft=number))
                    await reader.readexactly(4)  # it is greeted
                    closed.append(asyncio.ensure_future(reader.read()))
                await until(lambda: sum(each.done() for each in closed) >= 3)
                assert await b.peers.call(a.address, b"y", timeout_s=DEADLINE_S) == b"n2 asked n1: y"
                assert [each.done() for each in closed] == [False, False, True, True, True]
                for each in closed:
                    each.cancel()

        bench.run(check)

    def test_the_oldest_connections_without_a_hello_make_room_for_new_ones(self, bench, monkeypatch):
        monkeypatch.setattr("orion.process.fd_limits.FEWEST_CONNECTIONS", 3)
        monkeypatch.setattr("resource.getrlimit", lambda _: (6, 6))
        monkeypatch.setattr(connection, "HELLO_TIMEOUT_S", 2 * DEADLINE_S)

        async def check():
            a, b = await hosts(bench, 1, 2)
            async with contextlib.AsyncExitStack() as stack:
                silent = [await stack.enter_async_context(raw(a)) for _ in range(8)]
                closed = [asyncio.ensure_future(reader.read()) for reader, _ in silent]
                await until(lambda: sum(each.done() for each in closed) >= 5)
                assert await b.peers.call(a.address, b"x", timeout_s=DEADLINE_S) == b"n2 asked n1: x"
                assert [each.done() for each in closed[:5]] == [True] * 5
                for each in closed:
                    each.cancel()
                await asyncio.gather(*closed, return_exceptions=True)

        bench.run(check)

    def test_a_dialled_stranger_is_named(self, bench, caplog):
        async def check():
            async def serve(reader, writer):
                writer.write(b"220 mail.example ESMTP\r\n")
                await reader.read(10)
                writer.close()

            (a,) = await hosts(bench, 1)
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
                with pytest.raises(Unavailable, match=address):
                    await a.peers.call(address, b"x", timeout_s=DEADLINE_S)

        bench.run(check)
        (line,) = lines(caplog)
        assert line.startswith("closed a peer connection to 127.0.0.1:")

    def test_a_misbehaving_peer_does_not_flood_the_log(self, bench, caplog):
        async def check():
            (a,) = await hosts(bench, 1)
            for _ in range(30):
                await answer_to(a, b"GET / HTTP/1.1\r\n\r\n")

        bench.run(check)
        assert len(lines(caplog)) == 1

    def test_nobody_speaks_for_another(self, bench):
        async def check():
            a, b = await hosts(bench, 1, 2)
            (forged,) = encode_messages([MsgHeartbeat(7, 1, 1, 0, context=5)])
            (own,) = encode_messages([MsgHeartbeat(9, 1, 1, 0, context=6)])
            async with raw(a) as (_, writer):
                writer.write(hello(LANE_RAFT) + forged + own)
                await until(lambda: a.contexts == [6])
            await one_reaches(b, a)

        bench.run(check)

    def test_half_open_connections_do_not_hold_up_the_end(self, bench, monkeypatch):
        monkeypatch.setattr(connection, "HELLO_TIMEOUT_S", 10 * DEADLINE_S)

        async def check():
            (a,) = await hosts(bench, 1)
            async with raw(a), raw(a) as (_, writer):
                writer.write(hello(LANE_CALL)[:5])
                await writer.drain()
                async with asyncio.timeout(DEADLINE_S):
                    await a.peers.close()

        bench.run(check)


# --- words -------------------------------------------------------------------------------------------------


def test_a_taken_port_is_told_with_its_flag(bench):
    async def check():
        (a,) = await hosts(bench, 1)
        other = Host(2)
        bench.ports[2] = int(a.address.rpartition(":")[2])
        with pytest.raises(Refused, match=f"peer port {bench.ports[2]} .* is taken: .*--raft-port"):
            await bench.start(other)
        await other.peers.close()

    bench.run(check)


def test_an_address_of_another_machine_is_told(bench):
    async def check():
        peers = TcpPeers(node=NodeId("a"), raft=RaftId(1), host="192.0.2.1", port=0, clock=SystemClock())
        with pytest.raises(Refused, match=r"192\.0\.2\.1"):
            await peers.start(*[None] * 4)
        await peers.close()

    bench.run(check)


@pytest.mark.parametrize(
    ("ahead_ms", "words"), [(3_600_000, r"3(600|59\d) s ahead of"), (-60_000, r"(60|5\d) s behind")]
)
def test_a_clock_that_is_far_off_is_told_once(bench, caplog, ahead_ms, words):
    async def answer(_reader, writer):
        writer.write(hello(LANE_CALL, node="n3", ahead_ms=ahead_ms))
        await writer.drain()
        writer.close()

    async def check():
        (a,) = await hosts(bench, 1)
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await a.peers.call(
                        f"127.0.0.1:{server.sockets[0].getsockname()[1]}", b"x", timeout_s=DEADLINE_S
                    )

    bench.run(check)
    (line,) = lines(caplog)
    # The time that the answer took may be a part of the difference, and is taken off.
    assert re.fullmatch(f"n3's clock is {words} ours: times shown will be off; nothing decides by them", line)


def test_a_hello_that_was_long_on_its_way_is_of_no_clock_that_is_off(bench, caplog):
    """As of a process that was stopped: the kernel has taken the connection, and the hello, meanwhile."""

    async def check():
        (a,) = await hosts(bench, 1)
        async with raw(a) as (reader, writer):
            writer.write(hello(LANE_RAFT, node="n3", ahead_ms=-60_000))
            await reader.readexactly(10)

    bench.run(check)
    assert lines(caplog) == []


def test_another_clusters_node_is_told(bench, caplog):
    async def check():
        (a,) = await hosts(bench, 1, cluster=CLUSTER)
        assert MAGIC in await answer_to(a, hello(LANE_CALL, cluster=77))

    bench.run(check)
    (line,) = lines(caplog)
    assert "n9 is of another cluster" in line


def test_a_mistake_in_a_handler_is_logged_there_and_no_more_than_that_said_here(bench, caplog):
    async def check():
        a, b = await hosts(bench, 1, 2)

        async def mistake(node, request):
            raise KeyError("secret")

        async def mistakes(node, request):
            yield b"1"
            raise KeyError("secret")

        b.peers._on_call, b.peers._on_stream = mistake, mistakes
        with pytest.raises(OrionError) as called:
            await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
        stream = a.peers.stream(b.address, b"x")
        await anext(stream)
        with pytest.raises(OrionError) as streamed:
            await anext(stream)
        for raised in (called, streamed):
            assert type(raised.value) is OrionError
            assert "secret" not in raised.value.detail

    bench.run(check)
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [KeyError, KeyError]


# --- limits ------------------------------------------------------------------------------------------------


def test_a_request_or_answer_that_is_too_large_is_refused(bench):
    async def check():
        a, b = await hosts(bench, 1, 2)

        async def large(node, request):
            return bytes(MAX_FRAME_BYTES)

        async def large_items(node, request):
            yield bytes(MAX_FRAME_BYTES)

        b.peers._on_call, b.peers._on_stream = large, large_items
        for asked in (b"x", bytes(MAX_FRAME_BYTES)):
            with pytest.raises(TooLarge):
                await a.peers.call(b.address, asked, timeout_s=DEADLINE_S)
            with pytest.raises(TooLarge):
                await anext(a.peers.stream(b.address, asked))

    bench.run(check)


def test_calls_under_way_are_bounded(bench, monkeypatch):
    monkeypatch.setattr(calls, "MAX_IN_FLIGHT", 20)

    async def check():
        a, b = await hosts(bench, 1, 2)
        hanging = [asyncio.ensure_future(a.peers.call(b.address, b"hang", timeout_s=DEADLINE_S)) for _ in range(20)]
        await until(lambda: b.open == 20)
        with pytest.raises(Unavailable, match="too many calls"):
            await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
        # The other end keeps the bound too, against one that does not.
        hanging[0].cancel()
        await asyncio.wait([hanging[0]])
        with pytest.raises(Unavailable, match="too many calls"):
            await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
        b.release.set()
        await asyncio.gather(*hanging[1:])
        assert await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S) == b"n1 asked n2: x"

    bench.run(check)


def test_a_slow_reader_slows_the_handler_down(bench):
    async def check():
        a, b = await hosts(bench, 1, 2)
        yielded = 0

        async def endless(node, request):
            nonlocal yielded
            while True:
                yielded += 1
                yield bytes(100_000)

        b.peers._on_stream = endless
        async with contextlib.aclosing(a.peers.stream(b.address, b"")) as stream:
            await anext(stream)
            before = -1
            while yielded != before:  # until it stands still over a hundred round trips
                before = yielded
                for _ in range(100):
                    await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)
            assert yielded < 200  # 20 MB: both ends' buffers and the kernel's
            for _ in range(300):
                await anext(stream)
            assert yielded > 300

    bench.run(check)


def test_a_handler_that_never_waits_hears_that_its_reader_is_gone(bench):
    async def check():
        a, b = await hosts(bench, 1, 2)

        async def endless(node, request):
            while True:
                yield bytes(100_000)

        b.peers._on_stream = endless
        for taken in range(1, 40):
            async with contextlib.aclosing(a.peers.stream(b.address, b"")) as stream:
                for _ in range(taken):
                    await anext(stream)
        await a.peers.call(b.address, b"x", timeout_s=DEADLINE_S)

    bench.run(check)


def test_messages_that_cannot_be_sent_do_not_pile_up():
    outbox = Outbox("127.0.0.1:1", None)
    for number in range(MAX_QUEUED_FRAMES + 10):
        outbox.send([b"%d" % number])
    assert outbox.dropped == 10
    assert outbox._queue[0] == b"10"
    megabytes = MAX_QUEUED_BYTES // 1024 // 1024
    for _ in range(megabytes + 5):
        outbox.send([bytes(1024 * 1024)])
    assert len(outbox._queue) == megabytes
    assert outbox._queued_bytes == MAX_QUEUED_BYTES


# --- processes and hosts that vanish -----------------------------------------------------------------------


@contextlib.contextmanager
def process(*command):
    """A peer in another process; its address is the first line it prints."""
    script = """
        import asyncio, sys
        from orion.adapters.clock import SystemClock
        from orion.adapters.peers import TcpPeers

        async def on_call(node, request):
            return request

        async def on_stream(node, request):
            yield b"first"
            await asyncio.sleep(600)

        async def main():
            peers = TcpPeers(node="n2", raft=2, host=sys.argv[1], port=0, clock=SystemClock())
            await peers.start(lambda message: None, on_call, on_stream, None)
            print(f"{sys.argv[1]}:{peers.port}", flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    *prefix, host = command
    child = subprocess.Popen(
        [*prefix, sys.executable, "-c", textwrap.dedent(script), host],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        yield child, child.stdout.readline().strip()
    finally:
        child.kill()
        child.communicate()


def beat():
    return [MsgHeartbeat(1, 2, 1, 0)]


@pytest.mark.parametrize("lane", [LANE_RAFT, LANE_CALL, LANE_STREAM])
def test_a_killed_process_is_known_on_every_lane(bench, lane):
    async def check():
        (a,) = await hosts(bench, 1)
        stream = None
        with process("127.0.0.1") as (child, address):
            if lane == LANE_RAFT:
                a.peers.send(address, RaftId(2), beat())
                await until(lambda: a.peers._outboxes[address]._connection)
            elif lane == LANE_CALL:
                await a.peers.call(address, b"x", timeout_s=DEADLINE_S)
            else:
                stream = a.peers.stream(address, b"")
                await anext(stream)
            assert a.lost == []
            child.kill()
            await until(lambda: address in a.lost)
            await until(lambda: child.poll() is not None)  # the kernel closes its sockets one after the other
            assert await a.peers.probe(address, tries=4) is PortProbe.REFUSED
            if stream is not None:
                with pytest.raises(Unavailable):
                    await anext(stream)

    bench.run(check)


def test_raft_messages_are_dialled_for_again_and_again(bench):
    async def check():
        (a,) = await hosts(bench, 1)
        with process("127.0.0.1") as (child, address):
            a.peers.send(address, RaftId(2), beat())
            await until(lambda: a.peers._outboxes[address]._connection)
            child.kill()
            # Lost once, then refused each time.
            await until(lambda: len(a.lost) >= 3, lambda: a.peers.send(address, RaftId(2), beat()))
            # With nothing more to send it gives up.
            await until(lambda: not a.peers._outboxes)

    bench.run(check)


def test_who_stood_still_itself_asks_again(bench):
    """Else a leader that had no turn for some seconds would call nodes dead that answer."""

    async def check():
        (a,) = await hosts(bench, 1)
        with process("127.0.0.1") as (_, address):
            asked = asyncio.ensure_future(a.peers.who(address, timeout_s=0.5))
            await asyncio.sleep(0)
            time.sleep(1)  # noqa: ASYNC251  all of this process stands still
            assert (await asked).node == "n2"

    bench.run(check)


def test_a_frozen_process_is_no_dead_one(bench):
    async def check():
        (a,) = await hosts(bench, 1)
        with process("127.0.0.1") as (child, address):
            await a.peers.call(address, b"x", timeout_s=DEADLINE_S)
            child.send_signal(signal.SIGSTOP)
            with pytest.raises(Unavailable, match="did not answer"):
                await a.peers.call(address, b"x", timeout_s=0.3)
            assert await a.peers.probe(address, tries=4) is PortProbe.ACCEPTED
            with pytest.raises(Unavailable, match="does not answer"):
                await a.peers.who(address, timeout_s=0.3)
            child.send_signal(signal.SIGCONT)
            assert (await a.peers.who(address, timeout_s=DEADLINE_S)).node == "n2"
            assert await a.peers.call(address, b"x", timeout_s=DEADLINE_S) == b"x"

    bench.run(check)


@pytest.fixture
def other_host():
    """A network namespace with an address on its own; takes it off the network when called."""
    name, inside, outside = f"orion-peers-{os.getpid()}", "10.213.7.2", "10.213.7.1"
    end = f"op{os.getpid()}"[:13]

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", end + "a", "type", "veth", "peer", "name", end + "b", "netns", name)
        ip("addr", "add", f"{outside}/30", "dev", end + "a")
        ip("link", "set", end + "a", "up")
        ip("-n", name, "addr", "add", f"{inside}/30", "dev", end + "b")
        ip("-n", name, "link", "set", end + "b", "up")
        ip("-n", name, "link", "set", "lo", "up")

        class Other:
            enter = ("nsenter", f"--net=/var/run/netns/{name}")
            address = inside

            def vanish(self):
                # The link stays up here, as with a host behind a switch: nothing answers any more.
                ip("-n", name, "link", "set", end + "b", "nomaster", "arp", "off")
                ip("-n", name, "addr", "flush", "dev", end + "b")

        yield Other()
        # By itself: the namespace lives on for as long as another mount namespace has it too.
        ip("link", "del", end + "a")
    finally:
        ip("netns", "del", name)


@pytest.mark.root
def test_a_host_that_vanished_is_known_within_seconds(bench, other_host, monkeypatch):
    async def check():
        peers = TcpPeers(node=NodeId("a"), raft=RaftId(1), host="0.0.0.0", port=0, clock=SystemClock())
        lost = []
        peers.on_lost = lost.append
        bench.started.append(peers)
        await peers.start(lambda message: None, None, None, None)
        with process(*other_host.enter, other_host.address) as (_, address):
            await peers.call(address, b"x", timeout_s=DEADLINE_S)
            stream = peers.stream(address, b"")
            await anext(stream)
            monkeypatch.setattr(dial, "DIAL_TIMEOUT_S", DIAL_TIMEOUT_S)  # as it is: a part of the seconds
            other_host.vanish()
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable):  # nothing was under way: keep-alive finds out
                async with asyncio.timeout(DEADLINE_S):
                    await anext(stream)
            with pytest.raises(Unavailable):
                await peers.call(address, b"x", timeout_s=DEADLINE_S)
            await until(lambda: address in lost)
            assert asyncio.get_running_loop().time() - began < 20
            assert await peers.probe(address, tries=4) is PortProbe.SILENT

    bench.run(check)


def test_an_answer_counts_that_came_while_the_loop_was_held(bench):
    """Else a node that is busy takes all others for dead."""

    async def check():
        a, b = await hosts(bench, 1, 2)
        probing = asyncio.ensure_future(a.peers.probe(b.address, tries=4))
        await asyncio.sleep(0)
        time.sleep(1)  # noqa: ASYNC251 -- all of the time that an answer is waited for, and more
        assert await probing is PortProbe.ACCEPTED

    bench.run(check)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.0 400 Bad Request\r\n" * 100, b""])
def test_a_program_that_answers_and_is_no_node_is_unavailable(bench, answer):
    async def other(_, writer):
        writer.write(answer)
        writer.close()

    async def check():
        (a,) = await hosts(bench, 1)
        async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(Unavailable, match=address):
                await a.peers.who(address, timeout_s=DEADLINE_S)
        for address in ("no-such-host.invalid:7000", "127.0.0.1", "[ff00::1]:0"):
            with pytest.raises(Unavailable, match="can't be reached"):
                await a.peers.who(address, timeout_s=DEADLINE_S)

    bench.run(check)


def test_a_host_that_can_not_be_asked_is_not_called_silent(bench):
    async def check():
        (a,) = await hosts(bench, 1)
        for address in ("no-such-host.invalid:7000", "127.0.0.1", "[ff00::1]:0", "255.255.255.255:7000"):
            assert await a.peers.probe(address, tries=4) is PortProbe.UNCLEAR, address

    bench.run(check)
