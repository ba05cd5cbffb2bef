"""The NameServer port on real sockets: answers of its own, by UDP and TCP, to friends and to others."""

import asyncio
import contextlib
import functools
import secrets
import socket
import struct
import subprocess
import sys

import pytest
import uvloop

from orion.adapters.dns import lanes, rates, streams
from orion.adapters.dns.sockets import another, lost, open_both
from orion.adapters.dns.source_filter import set_dropped, steer
from orion.model.errors import Unavailable
from support import dns
from support.name_server import Jobs
from support.resolving import DEADLINE_S, Client, Stream, serving
from unit.wire.test_dns_query import HOSTILE

WEB = "web.orion.internal"
JOBS = Jobs(
    {
        "web": {
            "slots": 3,
            "ready": {"0": ["10.200.1.1", "fd00::1"], "2": ["10.200.2.3"]},
            "ports": [[80, "tcp", "http"]],
        },
        "large": {"slots": 250, "ready": {str(n): [f"10.200.3.{n}"] for n in range(250)}},
        "hidden": {"slots": 1, "ready": {"0": ["10.200.4.1"]}},
    }
)


def on_both_loops(test):
    """Runs it on asyncio's loop and on uvloop, which nodes use."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def checked(run, tmp_path, monkeypatch, caplog):
        arguments = {"tmp_path": tmp_path, "monkeypatch": monkeypatch, "caplog": caplog}
        wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
        run(test(*(arguments[name] for name in wanted)))

    del checked.__wrapped__
    return checked


def server(tmp_path, **options):
    """It has nobody to ask."""
    return serving(JOBS.resolve, tmp_path / "resolv.conf", **options)


@on_both_loops
async def test_tasks_by_udp_and_tcp(tmp_path):
    async with server(tmp_path) as names, Stream.to(names.port) as stream:
        with Client(names.port) as client:
            for asking in (client, stream):
                found = await asking.ask("wEb.Orion.internal", more=[dns.edns()])
                assert sorted(found.values) == ["10.200.1.1", "10.200.2.3"]
                assert (found.name, found.authoritative) == ("wEb.Orion.internal", True)
                assert (await asking.ask(WEB, dns.AAAA)).values == ["fd00:0000:0000:0000:0000:0000:0000:0001"]
                assert (await asking.ask("2.web")).values == ["10.200.2.3"]
                assert (await asking.ask("3.2.200.10.in-addr.arpa", dns.PTR)).values == ["2.web.orion.internal"]
                services = await asking.ask("_http._tcp." + WEB, dns.SRV)
                assert min(services.values) == (0, 0, 80, "0.web.orion.internal")
                nobody = await asking.ask("nobody.orion.internal")
                assert (nobody.code, nobody.authority[0].kind) == (dns.NXDOMAIN, dns.SOA)
        assert names.counts.answered == 12


@on_both_loops
async def test_ipv6(tmp_path):
    async with server(tmp_path, host="::1") as names, Stream.to(names.port, "::1") as stream:
        with Client(names.port, host="::1") as client:
            assert (await client.ask("2.web")).values == ["10.200.2.3"]
        assert (await stream.ask("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_all_of_a_large_job_is_told_by_tcp(tmp_path):
    async with server(tmp_path) as names, Stream.to(names.port) as stream:
        with Client(names.port) as client:
            assert (await client.ask("large")).truncated
            assert len((await client.ask("large", more=[dns.edns(4_096)])).answers) > 70
        whole = await stream.ask("large")
        assert (whole.truncated, len(set(whole.values))) == (False, 250)


@on_both_loops
async def test_who_asks_decides_and_a_bug_is_no_answer(tmp_path, caplog):
    async with server(tmp_path) as names:
        with Client(names.port) as client, Client(names.port, source="127.0.0.8") as other:
            assert (await client.ask("hidden.orion.internal")).values == ["10.200.4.1"]
            assert (await other.ask("hidden.orion.internal")).code == dns.REFUSED
            assert (await client.ask("broken.orion.internal")).code == dns.SERVFAIL
            assert (await client.ask("broken.orion.internal")).code == dns.SERVFAIL
            assert (await client.ask("example.com")).code == dns.SERVFAIL
            assert (await client.ask(WEB, klass=3)).code == dns.REFUSED
            assert (await client.ask("orion.internal", dns.AXFR)).code == dns.REFUSED
            assert (await client.ask("2.web")).values == ["10.200.2.3"]
    assert sum(record.exc_info is not None for record in caplog.records) == 1


@on_both_loops
async def test_hostile_messages_by_udp(tmp_path):
    async with server(tmp_path) as names:
        with Client(names.port) as client:
            for name, (data, code) in HOSTILE.items():
                client.send(data)
                client.send(dns.query(WEB, ident=0xFFFE))
                if code is not None:
                    refused = await client.receive()
                    assert (refused.ident, refused.code) == (int.from_bytes(data[:2]), code & 15), name
                assert (await client.receive()).ident == 0xFFFE, name


@on_both_loops
async def test_any_bytes_at_all(tmp_path):
    async with server(tmp_path) as names:
        with Client(names.port) as client:
            for size in [*range(64), *range(64, 1_500, 37)]:
                client.send(secrets.token_bytes(size))
                client.send(dns.query(WEB)[: 2 + size % 33] + secrets.token_bytes(size))
        for size in range(0, 1_000, 53):
            async with Stream.to(names.port) as stream:
                stream.send(dns.query(WEB)[: size % 33] + secrets.token_bytes(size))
                stream.writer.write_eof()
                while await stream.receive() is not None:
                    pass
        with Client(names.port, source="127.0.0.9") as client:
            assert (await client.insist("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_hostile_messages_by_tcp(tmp_path):
    async with server(tmp_path) as names:
        for name, (data, code) in HOSTILE.items():
            async with Stream.to(names.port) as stream:
                stream.send(data)
                refused = await stream.receive()
                if code is None or len(data) > 4_096:
                    assert refused is None, name
                else:
                    assert (refused.ident, refused.code) == (int.from_bytes(data[:2]), code & 15), name
                    assert (await stream.ask("2.web")).values == ["10.200.2.3"], name


@on_both_loops
async def test_streams_that_are_none(tmp_path):
    async with server(tmp_path) as names:
        for data in (
            b"\0",
            b"\0\0",
            b"\xff\xff",
            b"GET / HTTP/1.0\r\n\r\n",
            dns.query(WEB),
            secrets.token_bytes(9_000),
        ):
            async with Stream.to(names.port) as stream:
                stream.writer.write(data)
                stream.writer.write_eof()
                while await stream.receive() is not None:
                    pass
        async with Stream.to(names.port) as stream:
            assert (await stream.ask("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_questions_in_one_go_and_in_pieces(tmp_path):
    async with server(tmp_path) as names, Stream.to(names.port) as stream:
        for ident in range(20):
            stream.send(dns.query("large", ident=ident))
        stream.writer.write_eof()
        assert [(await stream.receive()).ident for _ in range(20)] == list(range(20))
        assert await stream.receive() is None
        async with Stream.to(names.port) as slow:
            data = dns.query("2.web")
            for byte in struct.pack(">H", len(data)) + data:
                slow.writer.write(bytes([byte]))
                await slow.writer.drain()
                await asyncio.sleep(0)
            assert (await slow.receive()).values == ["10.200.2.3"]


@on_both_loops
async def test_whoever_reads_slowly_gets_all_before_the_end(tmp_path):
    loop, answers, received = asyncio.get_running_loop(), 60, bytearray()
    data = dns.query("large")
    async with server(tmp_path) as names:
        with socket.socket() as slow:
            # So that the kernel takes less than an answer at a time.
            names._sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_048)
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            slow.setblocking(False)
            await loop.sock_connect(slow, ("127.0.0.1", names.port))
            await loop.sock_sendall(slow, (struct.pack(">H", len(data)) + data) * answers)
            slow.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(DEADLINE_S):
                while more := await loop.sock_recv(slow, 4_096):
                    received += more
    whole = 12 + len(data) - 12 + 250 * 16
    assert len(received) == answers * (2 + whole)


async def ask_without_end(stream):
    async with asyncio.timeout(DEADLINE_S):
        while True:
            stream.send(dns.query("large"))
            await stream.writer.drain()


@on_both_loops
async def test_whoever_says_nothing_or_takes_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "IDLE_S", 0.3)
    async with server(tmp_path) as names:
        async with Stream.to(names.port) as silent:
            assert await silent.receive() is None
        async with Stream.to(names.port) as half:
            half.writer.write(b"\0\x20\0")
            assert await half.receive() is None
        async with Stream.to(names.port) as deaf:
            with pytest.raises(ConnectionError):
                await ask_without_end(deaf)
        # Of another client: what the deaf one asked may still wait.
        with Client(names.port, source="127.0.0.6") as client:
            assert (await client.ask("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_one_client_can_not_have_all_connections(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "IDLE_S", 10 * DEADLINE_S)
    async with server(tmp_path) as names:
        held = [Stream.to(names.port) for _ in range(streams.MAX_CONNECTIONS_OF_CLIENT + 1)]
        opened = [await each.__aenter__() for each in held]
        for stream in opened[:-1]:
            assert (await stream.ask("2.web")).values == ["10.200.2.3"]
        assert await opened[-1].receive() is None
        async with Stream.to(names.port, source="127.0.0.9") as other:
            assert (await other.ask("2.web")).values == ["10.200.2.3"]
        for each in held:
            await each.__aexit__(None, None, None)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with Stream.to(names.port) as stream:
                    if await stream.ask("2.web") is not None:
                        break


@on_both_loops
async def test_a_port_is_free_again_and_a_taken_one_is_said(tmp_path):
    async with server(tmp_path) as names, Stream.to(names.port) as stream:
        assert await stream.ask("2.web")
        with pytest.raises(Unavailable, match=rf"127.0.0.1:{names.port}: another program has it"):
            async with server(tmp_path, port=names.port):
                pass
        port = names.port
    async with server(tmp_path, port=port) as names:
        with Client(port) as client:
            assert (await client.ask("2.web")).values == ["10.200.2.3"]
    with pytest.raises(Unavailable, match="no such address"):
        async with server(tmp_path, host="192.0.2.77"):
            pass


# --- floods -----------------------------------------------------------------------------------------------

FLOOD = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[3], 0))
sock.connect(("127.0.0.1", int(sys.argv[1])))
sock.setblocking(False)
data = bytes.fromhex(sys.argv[2])
print(flush=True)
while True:
    try:
        sock.send(data)
    except OSError:
        pass
"""


@contextlib.asynccontextmanager
async def flooding(names, source):
    arguments = sys.executable, "-c", FLOOD, str(names.port), dns.query(WEB).hex(), source
    flood = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    try:
        await flood.stdout.readline()
        yield
    finally:
        flood.kill()
        await flood.wait()


@on_both_loops
async def test_a_flood_of_one_client_loses_no_question_of_others(tmp_path, caplog):
    async with server(tmp_path) as names:
        async with flooding(names, "127.0.0.5"), Stream.to(names.port, source="127.0.0.6") as stream:
            with Client(names.port, source="127.0.0.6") as client:
                async with asyncio.timeout(DEADLINE_S):
                    while "127.0.0.5" not in caplog.text:
                        assert (await client.insist("2.web")).values == ["10.200.2.3"]
                # Once more: what the flood has left in the queue of all, before it got its own, is behind then.
                assert (await client.insist("2.web")).values == ["10.200.2.3"]
            with Client(names.port, source="127.0.0.6") as client:  # no answer to the former ones comes late to it
                for ident in range(500):
                    assert (await client.ask("2.web", ident=ident)).ident == ident
            assert (await stream.ask("2.web")).values == ["10.200.2.3"]
        assert names.counts.dropped > 0
        with Client(names.port, source="127.0.0.5") as client:
            assert (await client.insist("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_a_queue_of_its_own_is_the_next_ones_after_a_flood(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(lanes, "MAX_LANES", 1)
    async with server(tmp_path) as names, asyncio.timeout(DEADLINE_S):
        for flooder, other in (("127.0.0.5", "127.0.0.7"), ("127.0.0.7", "127.0.0.5")):
            async with flooding(names, flooder):
                with Client(names.port, source=other) as client:
                    while f"{flooder} asks for more names than it is given answers: the rest" not in caplog.text:
                        assert (await client.insist("2.web")).values == ["10.200.2.3"]
        with Client(names.port, source="127.0.0.6") as client:
            assert (await client.insist("2.web")).values == ["10.200.2.3"]


@on_both_loops
async def test_a_flood_that_has_no_queue_of_its_own_is_not_heard_for_a_while(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(lanes, "MAX_LANES", 0)
    # A tenth of all, which a busy machine reads too.
    for name, tenth in (("RATE_PER_S", 200.0), ("BURST", 100), ("SHUN_AFTER", 200)):
        monkeypatch.setattr(rates, name, tenth)
    async with server(tmp_path) as names:
        async with flooding(names, "127.0.0.5"):
            with Client(names.port, source="127.0.0.6") as client:
                async with asyncio.timeout(DEADLINE_S):
                    while "127.0.0.5" not in caplog.text:
                        assert (await client.insist("2.web")).values == ["10.200.2.3"]
                for ident in range(100):
                    assert (await client.insist("2.web", ident=ident)).values == ["10.200.2.3"]
            # From an address of its own: the one above may have had its share.
            async with Stream.to(names.port, source="127.0.0.8") as stream:
                assert (await stream.ask("2.web")).values == ["10.200.2.3"]
        assert names.counts.dropped >= rates.SHUN_AFTER
        with Client(names.port, source="127.0.0.5") as client:
            assert (await client.insist("2.web")).values == ["10.200.2.3"]


@pytest.mark.parametrize(
    ("family", "host", "dropped", "other"),
    [
        (socket.AF_INET, "127.0.0.1", ["127.0.0.5", "127.0.0.7"], "127.0.0.6"),
        (socket.AF_INET6, "::1", ["::1", "fd00::1"], None),
        (socket.AF_INET6, "::1", ["fd00::1", "::2", "1::1"], "::1"),
    ],
)
def test_the_kernel_drops_what_certain_addresses_send(family, host, dropped, other):
    def send(source):
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            sender.sendto(source.encode(), listening.getsockname())

    def received():
        try:
            return listening.recv(100).decode()
        except BlockingIOError:
            return None

    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind((host, 0))
        set_dropped(listening, [socket.inet_pton(family, each) for each in dropped])
        local = [each for each in dropped if each == "::1" or "." in each]
        for each in local:
            send(each)
        if other:
            send(other)
        assert received() == other
        set_dropped(listening, [])
        for each in local:
            send(each)
            assert received() == each


@pytest.mark.parametrize(
    ("family", "host", "steered", "queues"),
    [
        (
            socket.AF_INET,
            "127.0.0.1",
            {"127.0.0.5": 2, "127.0.0.7": 1},
            {"127.0.0.5": 2, "127.0.0.6": 0, "127.0.0.7": 1},
        ),
        (socket.AF_INET6, "::1", {"fd00::1": 1, "::1": 2}, {"::1": 2}),
        (socket.AF_INET6, "::1", {"fd00::1": 1, "::2": 2, "1::1": 1}, {"::1": 0}),
    ],
)
def test_the_kernel_puts_what_certain_addresses_send_into_queues_of_their_own(family, host, steered, queues):
    udp, tcp = open_both(host, 0)
    with udp, tcp, another(udp) as second, another(udp) as third, socket.socket(family, socket.SOCK_DGRAM) as late:
        steer(udp, {socket.inet_pton(family, source): queue for source, queue in steered.items()})
        for source, queue in queues.items():
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.bind((source, 0))
                sender.sendto(source.encode(), udp.getsockname())
            assert (udp, second, third)[queue].recv(100).decode() == source
        steer(udp, {})
        late.sendto(b"late", udp.getsockname())
        assert udp.recv(100) == b"late"


def test_the_kernel_says_how_many_messages_found_a_full_queue():
    udp, tcp = open_both("127.0.0.1", 0)
    with udp, tcp, another(udp) as small, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        steer(udp, {bytes((127, 0, 0, 5)): 1})
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        sender.bind(("127.0.0.5", 0))
        for _ in range(100):
            sender.sendto(b"full", udp.getsockname())
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while small.recv(100):
                taken += 1
        assert lost(small) == 100 - taken > 0
        assert lost(udp) == 0


@on_both_loops
async def test_the_kernel_drops_their_connections_too():
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:
        port = listening.getsockname()[1]
        set_dropped(listening, [bytes((127, 0, 0, 5))])
        # Its kernel goes on to try.
        shunned = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.5", 0)))
        async with Stream.to(port, source="127.0.0.6"):
            accepted, address = listening.accept()
            assert address[0] == "127.0.0.6"
            accepted.close()
        set_dropped(listening, [])
        async with asyncio.timeout(DEADLINE_S):
            _, writer = await shunned
        accepted, address = listening.accept()
        assert address[0] == "127.0.0.5"
        accepted.close()
        writer.transport.abort()


def test_a_client_has_its_rate_and_no_more():
    limits, now_s = rates.Rates(), 100.0
    admitted = sum(limits.admits("a", now_s) for _ in range(5_000))
    assert rates.BURST <= admitted <= rates.BURST + 1
    assert limits.admits("b", now_s)
    steps = [limits.admits("a", now_s + step / 10_000) for step in range(10_000)]
    assert abs(sum(steps) - rates.RATE_PER_S) < 5
    assert rates.BURST <= sum(limits.admits("a", now_s + 100) for _ in range(5_000)) <= rates.BURST + 1
    limits.charge("b", rates.BURST)
    assert not limits.admits("b", now_s)


def test_a_flood_has_no_burst_again():
    limits, now_s = rates.Rates(), 100.0
    for _ in range(rates.BURST + rates.SHUN_AFTER):
        limits.admits("a", now_s)
    assert limits.take_floods(now_s) == ["a"]
    assert limits.take_floods(now_s) == []
    later_s = now_s + rates.SHUN_S + 0.01
    assert sum(limits.admits("a", later_s) for _ in range(1_000)) < rates.RATE_PER_S * 0.02
    assert limits.take_floods(later_s) == ["a"]
    assert limits.admits("b", later_s)


def test_clients_without_end_take_no_room_without_end():
    limits = rates.Rates()
    for number in range(3 * rates.MAX_CLIENTS):
        assert limits.admits(str(number), 1.0)
        assert len(limits._empty_at) <= rates.MAX_CLIENTS
    assert limits.admits("late", 1_000.0)
    assert len(limits._empty_at) == 1
