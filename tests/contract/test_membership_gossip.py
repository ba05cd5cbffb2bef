"""What only the real gossip has: ports, names, silent seeds, two nodes of one name, a memory on disk."""

import asyncio
import logging
import socket
import sys

import pytest

from contract.test_membership import (
    DEADLINE_S,
    GossipBench,
    free_port,
    kinds,
    later_millisecond,
    seen,
    told,
    until,
    until_state,
    up,
)
from orion.adapters import datagrams, gossip, seeds
from orion.adapters.gossip import Gossip
from orion.model.errors import Invalid, Refused

NOT_ALONE = "another node is there now: this node is not alone any more"


@pytest.fixture
def bench():
    return GossipBench()


def lines(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO and r.name != "asyncio"]


# --- start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_taken_port_is_told_with_its_flag(bench, kind):
    async def check():
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            bench.ports["n1"] = taken.getsockname()[1]
            member = await bench.make("n1")
            with pytest.raises(Refused, match=f"gossip port {bench.ports['n1']} .* is taken: .*--gossip-port"):
                await member.start({})
            await member.close()

    bench.run(check)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_is_told(bench, host):
    async def check():
        with pytest.raises(Refused, match=host):
            await Gossip(node="n1", host=host, port=6000).start({})

    bench.run(check)


@pytest.mark.parametrize("seed", ["6000", "host", "host:port", "127.0.0.1:0", "127.0.0.1:99999"])
def test_a_seed_that_is_no_address_is_told(bench, seed):
    async def check():
        with pytest.raises(Refused, match="host:port"):
            await Gossip(node="n1", host="127.0.0.1", port=0, seeds=(seed,)).start({})

    bench.run(check)


def test_seeds_that_are_names_are_looked_up(bench):
    async def check():
        port = await free_port()
        a = bench.made["a"] = Gossip(node="n1", host="localhost", port=port, advertise=f"localhost:{port}")
        await a.start({})
        assert a.address == f"127.0.0.1:{port}"
        b = bench.made["b"] = Gossip(node="n2", host="localhost", port=0, seeds=(f"localhost:{port}",))
        await b.start({})
        assert await b.join() == 1
        await until_state(a, "n2", "alive")

    bench.run(check)


def test_metadata_that_does_not_fit_is_refused(bench):
    async def check():
        a = await bench.make("n1")
        with pytest.raises(Invalid, match="at most 512"):
            await a.start({"x": "x" * 600})
        await a.start({"x": "x" * 400})
        with pytest.raises(Invalid, match="at most 512"):
            await a.set_metadata({"x": "x" * 600})
        assert seen(a, "n1").metadata == {"x": "x" * 400}

    bench.run(check)


# --- seeds -------------------------------------------------------------------------------------------------


def test_seeds_that_do_not_answer_leave_the_node_alone_and_trying(bench, caplog):
    caplog.set_level(logging.INFO)

    async def check():
        await bench.make("n1")
        b = await bench.make("n2", (bench.address("n1"), "no-such-host.invalid:6000"))
        await b.start({})
        assert await b.join() == 0
        a = await up(bench, "n1")
        await until_state(a, "n2", "alive")
        await until(lambda: len(lines(caplog)) >= 2)

    bench.run(check)
    first, second = lines(caplog)
    named = f"{bench.address('n1')}, no-such-host.invalid:6000"
    assert first == f"no node answers at {named}: alone for now, this node goes on trying"
    assert second == NOT_ALONE


def test_a_node_that_another_has_found_says_that_it_is_not_alone_any_more(bench, caplog):
    caplog.set_level(logging.INFO)

    async def check():
        await bench.make("n1")
        b = await bench.make("n2", (bench.address("n1"),))
        await b.start({})
        assert await b.join() == 0
        await up(bench, "n1", "n2")
        await until(lambda: lines(caplog)[1:] == [NOT_ALONE])

    bench.run(check)


def test_a_seed_that_is_an_api_port_is_told(bench, caplog, monkeypatch):
    monkeypatch.setattr(seeds, "HINT_TIMEOUT_S", DEADLINE_S)

    async def hello(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async def check():
        async with await asyncio.start_server(hello, "127.0.0.1", 0) as server:
            seed = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            node = await bench.make("n1", (seed,))
            await node.start({})
            assert await node.join() == 0
            assert f"({seed} speaks HTTP: --join wants a node's gossip port" in lines(caplog)[0]

    bench.run(check)


def test_two_islands_find_each_other(bench, monkeypatch):
    """Each is not alone, so only an absent seed makes them look."""
    monkeypatch.setattr(gossip, "RETRY_ABSENT_S", 0.5)

    async def check():
        await bench.make("n1")
        c = await up(bench, "n3")
        d = await up(bench, "n4", "n3", "n1")
        await until_state(c, "n4", "alive")
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        await until_state(b, "n3", "alive")
        await until_state(d, "n2", "alive")
        assert seen(a, "n4") is not None

    bench.run(check)


# --- memory ------------------------------------------------------------------------------------------------


def test_a_node_that_restarts_finds_the_others_without_a_seed(bench, tmp_path):
    async def check():
        memory = tmp_path / "members"
        a = await bench.make("n1", memory=memory)
        await a.start({})
        await a.join()
        b = await up(bench, "n2", "n1")
        await until(lambda: memory.exists() and bench.address("n2") in memory.read_text())
        await bench.crash("n1")
        await until_state(b, "n1", "dead")
        a = await bench.make("n1", memory=memory)
        await a.start({})
        assert await a.join() == 1
        await until_state(a, "n2", "alive")
        await until_state(b, "n1", "alive")

    bench.run(check)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"garbage\nhost:1\n1.2.3.4\n" + b"1" * 100_000])
def test_a_damaged_memory_is_forgotten(bench, tmp_path, content):
    (tmp_path / "members").write_bytes(content)

    async def check():
        a = await bench.make("n1", memory=tmp_path / "members")
        await a.start({})
        assert await a.join() == 0

    bench.run(check)


# --- names -------------------------------------------------------------------------------------------------


def test_two_nodes_of_one_name_are_told_to_both_once(bench):
    async def check():
        a = await up(bench, "n1")
        await up(bench, "n2", "n1", x="first")
        await until_state(a, "n2", "alive")
        async with told(a) as at_a:
            twin = bench.made["twin"] = Gossip(node="n2", host="127.0.0.1", port=0, seeds=(bench.address("n1"),))
            later_millisecond()
            await twin.start({"x": "twin"})
            async with told(twin) as at_twin:
                await twin.join()
                await until(lambda: kinds(at_a, "n2") == ["conflict"])
                await until(lambda: "conflict" in [e.kind for e in at_twin])
            (conflict,) = [e for e in at_a if e.kind == "conflict"]
            assert conflict.member.gossip_address == bench.address("n2")
            assert conflict.other_address == twin.address
            (conflict,) = [e for e in at_twin if e.kind == "conflict"]
            assert conflict.member.node == "n2"
            assert conflict.other_address == bench.address("n2")
        assert seen(a, "n2").metadata == {"x": "first"}

    bench.run(check)


def test_a_return_from_another_address_is_no_conflict(bench, caplog):
    async def check():
        a = await up(bench, "n1")
        await up(bench, "n2", "n1")
        await until_state(a, "n2", "alive")
        await bench.crash("n2")
        await until_state(a, "n2", "dead")
        async with told(a) as heard:
            del bench.ports["n2"]
            await up(bench, "n2", "n1")
            await until(lambda: any("comes back from another address" in line for line in lines(caplog)))
            assert "conflict" not in [e.kind for e in heard]

    bench.run(check)


def test_a_member_whose_name_no_node_can_have_is_ignored_and_told_once(bench, caplog):
    async def check():
        a = await up(bench, "n1")
        async with told(a) as heard:
            stranger = bench.made["stranger"] = Gossip(
                node="n2\n\x1b[2J", host="127.0.0.1", port=0, seeds=(bench.address("n1"),)
            )
            await stranger.start({})
            assert await stranger.join() == 1
            await up(bench, "n3", "n1")
            await until_state(a, "n3", "alive")
            await until(lambda: len(a._cluster.members()) == 3)
            assert [m.node for m in a.members()] == ["n1", "n3"]
            await bench.crash("stranger")
            await until(lambda: len(a._cluster.members()) == 2)
            assert {e.member.node for e in heard} == {"n3"}

    bench.run(check)
    words = [line for line in lines(caplog) if "no node's name" in line]
    assert len(words) == 3, "each of the three says it once"
    assert all(r"'n2\n\x1b[2J'" in line for line in words)


# --- datagrams ---------------------------------------------------------------------------------------------


def test_a_member_that_answers_by_tcp_and_never_by_udp_is_told_once(bench, caplog, monkeypatch):
    """And again once UDP gets through. One that is quiet on purpose stands in for one behind a firewall."""
    monkeypatch.setattr(datagrams, "EVERY_S", 0.05)
    caplog.set_level(logging.INFO)
    told = lambda words: [line for line in lines(caplog) if words in line]  # noqa: E731

    async def check():
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        c = await up(bench, "n3", "n1")
        await until_state(a, "n2", "alive")
        await until_state(a, "n3", "alive")
        answers = asyncio.Event()

        async def no_answers(member, data):
            if answers.is_set() or data == datagrams._PING:
                await send(member, data)

        send, b._datagrams._send = b._datagrams._send, no_answers
        await until(lambda: len(told(f"UDP to {b.address}, the gossip port of n2, does not get through")) == 2)
        sent = [each._cluster.stats().user_messages_sent for each in (a, b, c)]
        for each, so_far in zip((a, b, c), sent, strict=True):
            await until(lambda each=each, so_far=so_far: each._cluster.stats().user_messages_sent >= so_far + 20)
        answers.set()
        await until(lambda: len(told(f"UDP to {b.address}, the gossip port of n2, gets through now")) == 2)

    bench.run(check)
    # Of n2 alone: on a slow machine the others may be asked in vain too.
    words = (
        f"UDP to {bench.address('n2')}, the gossip port of n2, does not get through, or no answer does; TCP does"
    )
    assert len(told(words)) == 2, "n1 and n3 of n2, once each"


def test_a_member_that_answers_neither_is_not_told_to_be_behind_a_firewall(bench, caplog, monkeypatch):
    monkeypatch.setattr(datagrams, "EVERY_S", 0.02)
    # Nobody is judged before the end: a slow machine does not answer five times in 0.1 s, and answers by TCP.
    monkeypatch.setattr(datagrams, "UNANSWERED", sys.maxsize)

    async def check():
        a = await up(bench, "n1")
        await up(bench, "n2", "n1")
        await until_state(a, "n2", "alive")
        await bench.crash("n2")
        monkeypatch.setattr(datagrams, "UNANSWERED", 1)
        await until_state(a, "n2", "dead")

    bench.run(check)
    assert not [line for line in lines(caplog) if "get through" in line]


# --- the protocol runs by itself ---------------------------------------------------------------------------


def test_a_blocked_event_loop_is_not_taken_for_death(bench):
    script = (
        "import asyncio, sys, time\n"
        "from orion.adapters.gossip import Gossip\n"
        "async def main():\n"
        "    g = Gossip(node='n2', host='127.0.0.1', port=0, seeds=(sys.argv[1],))\n"
        "    await g.start({})\n"
        "    await g.join()\n"
        "    time.sleep(3)\n"
        "    await g.leave()\n"
        "    await g.close()\n"
        "asyncio.run(main())\n"
    )

    async def check():
        a = await up(bench, "n1")
        async with told(a) as heard:
            blocked = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                script,
                bench.address("n1"),
                env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
            )
            try:
                await until_state(a, "n2", "left")
            finally:
                await blocked.wait()
            assert "dead" not in [e.kind for e in heard]

    bench.run(check)


def test_kinships_own_log_lines_come_as_warnings_only(bench, caplog):
    async def check():
        await up(bench, "n1")
        await asyncio.sleep(0)

    bench.run(check)
    assert lines(caplog) == []
