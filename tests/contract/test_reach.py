"""The Reach port on real sockets: two hosts that ask each other, both of this machine."""

import asyncio
import contextlib
import socket

import pytest

from orion.adapters.reach import SocketReach, echo, probe
from orion.model.errors import Unavailable
from orion.model.reach import CHECK_PORT, SMALL_BYTES, TCP_BYTES, Arrivals, Echo, Way

pytestmark = pytest.mark.root

MINE, PEERS, STRANGERS = "127.7.0.1", "127.7.0.2", "127.7.0.3"
VXLAN_PORT = 18_472
WAY = Way(MINE, PEERS, "127.7.1.1", "127.7.1.2")
DEADLINE_S = 30.0
LISTENS_S = 3.0  # always for so long, so no longer than a busy machine needs


@contextlib.asynccontextmanager
async def serving(reach: SocketReach, peers: frozenset[str] = frozenset({MINE})):
    running = asyncio.create_task(reach.serve([PEERS], lambda: peers))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def run(test) -> None:
    import uvloop

    for runner in (asyncio.run, uvloop.run):
        runner(test())


def ask(
    reach: SocketReach,
    source: str = MINE,
    size_bytes: int = SMALL_BYTES,
    tries: int = 2,
    within_s: float = DEADLINE_S,
):
    return reach.echo(source, PEERS, size_bytes, tries=tries, within_s=within_s)


async def again_until_all_end(listening, send) -> None:
    """Nobody is told when a listener begins to listen. It says no more than the largest that came, so that it does
    not matter how often something is sent.
    """
    while not all(each.done() for each in listening):
        await send()
        await asyncio.sleep(0.05)


def test_probes_of_all_sizes_come_back_with_their_time():
    async def test():
        reach = SocketReach(VXLAN_PORT)
        async with serving(reach):
            for size in (SMALL_BYTES, 1_450, 9_000):
                assert (await ask(reach, size_bytes=size)).us > 0
            assert await reach.transfer(MINE, PEERS, within_s=DEADLINE_S)

    run(test)


def test_whoever_is_no_node_of_the_network_gets_no_answer():
    async def test():
        reach = SocketReach(VXLAN_PORT)
        async with serving(reach):
            assert await ask(reach, source=STRANGERS, within_s=1.0) == Echo()
            assert not await reach.transfer(STRANGERS, PEERS, within_s=5.0)

    run(test)


def test_where_nobody_answers_that_is_said():
    async def test():
        reach = SocketReach(VXLAN_PORT)
        assert await ask(reach) == Echo(refused=True)
        assert not await reach.transfer(MINE, PEERS, within_s=5.0)
        assert await reach.echo("192.0.2.1", PEERS, SMALL_BYTES, tries=1, within_s=1.0) == Echo(), "not ours"

    run(test)


def test_what_is_no_probe_gets_no_answer_and_an_answer_is_as_long_as_its_question():
    async def test():
        loop = asyncio.get_running_loop()
        reach = SocketReach(VXLAN_PORT)
        with probe.datagram_socket(MINE) as sock:
            async with serving(reach):
                whole = probe.made(sock.family, 300)
                for sent in (b"", b"x" * 64, probe.MAGIC, whole[1:], whole):
                    sock.sendto(sent, (PEERS, CHECK_PORT))
                async with asyncio.timeout(DEADLINE_S):
                    assert await loop.sock_recv(sock, 65_535) == whole
        with contextlib.suppress(OSError):
            assert not sock.recv(1)

    run(test)


def test_no_more_is_answered_than_is_allowed(monkeypatch):
    async def test():
        monkeypatch.setattr(echo, "BURST", 3)
        monkeypatch.setattr(echo, "PER_S", 0)
        reach = SocketReach(VXLAN_PORT)
        async with serving(reach):
            # One try each: a second one counts as well.
            found = [bool((await ask(reach, tries=1)).us) for _ in range(3)]
            assert found == [True, True, True]
            assert not (await ask(reach, tries=1, within_s=1.0)).us

    run(test)


def test_a_connection_carries_no_more_than_it_is_for():
    async def test():
        loop = asyncio.get_running_loop()
        reach = SocketReach(VXLAN_PORT)
        async with serving(reach):
            with socket.socket() as sock:
                sock.setblocking(False)
                sock.bind((MINE, 0))
                async with asyncio.timeout(DEADLINE_S):
                    await loop.sock_connect(sock, (PEERS, CHECK_PORT))
                    sending = asyncio.ensure_future(loop.sock_sendall(sock, bytes(4 * TCP_BYTES)))
                    got = 0
                    with contextlib.suppress(ConnectionResetError):
                        while data := await loop.sock_recv(sock, 65_536):
                            got += len(data)
                    sending.cancel()
                assert got <= TCP_BYTES

    run(test)


def test_a_taken_port_is_an_error_in_words():
    async def test():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((PEERS, CHECK_PORT))
            with pytest.raises(Unavailable, match=rf"port {CHECK_PORT} of {PEERS}: Address already in use"):
                await SocketReach(VXLAN_PORT).serve([PEERS], frozenset)

    run(test)


def test_what_arrives_is_seen_before_it_is_dropped_and_of_whom():
    async def test():
        reach = SocketReach(VXLAN_PORT)
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(reach.listen(WAY, "lo", within_s=LISTENS_S))
            others = Way(STRANGERS, PEERS, "127.7.1.3", "127.7.1.2")
            unseen = group.create_task(reach.listen(others, "lo", within_s=LISTENS_S))

            async def send() -> None:
                await reach.send(WAY, (SMALL_BYTES, 900), (SMALL_BYTES, 1_400))
                with probe.datagram_socket(WAY.underlay_source) as sock:
                    sock.sendto(b"a frame", (WAY.underlay_target, VXLAN_PORT))

            await again_until_all_end((seen, unseen), send)
        assert seen.result() == (Arrivals(vxlan=True, plain_bytes=1_400, inner_bytes=900), "")
        assert unseen.result() == (Arrivals(), "")

    run(test)


def test_hosts_may_have_addresses_of_ipv6():
    async def test():
        way = Way(MINE, PEERS, "::1", "::1")
        reach = SocketReach(VXLAN_PORT)
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(reach.listen(way, "lo", within_s=LISTENS_S))

            async def send() -> None:
                await reach.send(way, (SMALL_BYTES,), (SMALL_BYTES, 1_400))
                with probe.datagram_socket("::1") as sock:
                    sock.sendto(b"a frame", ("::1", VXLAN_PORT))

            await again_until_all_end((seen,), send)
        assert seen.result() == (Arrivals(vxlan=True, plain_bytes=1_400, inner_bytes=SMALL_BYTES), "")

    run(test)


def test_what_came_to_the_program_is_told_to_all_who_listen():
    async def test():
        reach = SocketReach(VXLAN_PORT)
        async with serving(reach), asyncio.TaskGroup() as group:
            listening = [
                group.create_task(reach.listen(WAY, "lo", within_s=each)) for each in (LISTENS_S, LISTENS_S + 1)
            ]

            async def send() -> None:
                assert (await ask(reach, size_bytes=700)).us

            await again_until_all_end(listening, send)
        assert [each.result()[0].heard_bytes for each in listening] == [700, 700]

    run(test)
