"""Names of others: what the resolvers of this machine say, and do not say, and what clients get of it."""

import asyncio
import contextlib
import functools
import socket

import pytest
import uvloop

from orion.adapters.dns import forwarder, resolvers
from orion.adapters.dns.resolvers import hosts_in
from orion.model.dns import FORWARD
from support import dns
from support.resolving import DEADLINE_S, Client, Stream, Upstream, reply, serving, upstreams
from unit.wire.test_dns_answer import LIES

NAME = "eXample.com"
ADDRESS = [(dns.A, bytes((192, 0, 2, 1)))]
FOUND = ["192.0.2.1"]


def on_both_loops(test):
    """Runs it on asyncio's loop and on uvloop, which nodes use."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def checked(run, tmp_path, monkeypatch):
        for name, value in (("forwarder.TRY_S", 1.0), ("resolvers.LOOK_S", 0.0)):
            monkeypatch.setattr(f"orion.adapters.dns.{name}", value)
        arguments = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
        wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
        run(test(*(arguments[name] for name in wanted)))

    del checked.__wrapped__
    return checked


def honest(data):
    return [reply(data, records=ADDRESS)]


def silent(_data):
    return []


def with_code(code):
    return lambda data: [reply(data, flags=0x8180 | code)]


def forwarding(tmp_path, port, *hosts):
    """A server that passes all on, to `hosts` at `port`."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("".join(f"nameserver {host}\n" for host in hosts or ("127.0.0.2", "127.0.0.3")))
    return serving(lambda question, client: FORWARD, conf, upstream_port=port)


@on_both_loops
async def test_an_answer_of_others_is_passed_on(tmp_path):
    upstream = Upstream(lambda data: [reply(data, question=dns.parse(data).question.lower(), records=ADDRESS)])
    async with upstreams(upstream) as port, forwarding(tmp_path, port) as names, Stream.to(names.port) as stream:
        with Client(names.port) as client:
            for asking in (client, stream):
                found = await asking.ask(NAME, ident=77, more=[dns.edns(4_096)])
                assert (found.ident, found.name, found.values, found.authoritative) == (77, NAME, FOUND, False)
                assert dns.parse(upstream.asked[-1][0]).edns.klass == 1_232
                assert (await asking.ask(NAME)).values == FOUND
        assert (names.counts.forwarded, names.counts.answered) == (4, 0)


def patient(monkeypatch):
    """For answers of which each must be in time: the next resolver is not asked."""
    monkeypatch.setattr(forwarder, "TRY_S", 20.0)
    monkeypatch.setattr(forwarder, "DEADLINE_S", DEADLINE_S)


@on_both_loops
async def test_none_is_an_answer_too(tmp_path, monkeypatch):
    patient(monkeypatch)
    async with (
        upstreams(Upstream(with_code(dns.NXDOMAIN)), Upstream(honest)) as port,
        forwarding(tmp_path, port) as names,
    ):
        with Client(names.port) as client:
            assert (await client.ask(NAME)).code == dns.NXDOMAIN


@on_both_loops
async def test_ids_and_ports_are_not_to_be_guessed(tmp_path):
    upstream = Upstream(honest)
    async with upstreams(upstream) as port, forwarding(tmp_path, port) as names:
        with Client(names.port) as client:
            for _ in range(40):
                await client.ask(NAME, ident=7)
        assert len({address[1] for _, address in upstream.asked}) > 30
        assert len({data[:2] for data, _ in upstream.asked}) > 30


@on_both_loops
async def test_lies_before_the_truth_are_passed_over(tmp_path):
    def lying(data):
        ident = dns.parse(data).ident
        yield reply(data, ident=ident ^ 1, records=ADDRESS * 2)
        yield reply(data, flags=0x0100)
        yield reply(data, question=dns.query("example.org")[12:], records=ADDRESS * 2)
        yield reply(data, records=ADDRESS * 2) + b"\0"
        yield b""
        yield from (lie for lie in LIES.values() if lie[:2] != data[:2])
        if self.tries:
            yield from honest(data)
        self.tries += 1

    self = Upstream(lying)
    self.tries = 1
    async with upstreams(self) as port, forwarding(tmp_path, port) as names:
        with Client(names.port) as client:
            # The sixteenth lie has it given up; the next try is another question.
            assert (await client.ask("example.com")).code == dns.SERVFAIL
        self.udp = lambda data: [*list(lying(data))[:5], *honest(data)]
        with Client(names.port) as client:
            assert (await client.ask("example.com")).values == FOUND


@on_both_loops
async def test_an_answer_from_elsewhere_is_not_heard(tmp_path):
    """The address and the port are right, the kernel of another host is not."""
    forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    forger.bind(("127.0.0.66", 0))

    def overtaken(data):
        forger.sendto(reply(data, records=ADDRESS * 3), upstream.asked[-1][1])
        return honest(data)

    upstream = Upstream(overtaken)
    with forger:
        async with upstreams(upstream) as port, forwarding(tmp_path, port) as names:
            with Client(names.port) as client:
                assert (await client.ask(NAME)).values == FOUND


@pytest.mark.parametrize("code", [dns.FORMERR, dns.SERVFAIL, dns.NOTIMP, dns.REFUSED])
def test_another_one_may_know_better(tmp_path, monkeypatch, code):
    patient(monkeypatch)

    async def check():
        first, second = Upstream(with_code(code)), Upstream(honest)
        async with upstreams(first, second) as port, forwarding(tmp_path, port) as names:
            with Client(names.port) as client:
                assert (await client.ask(NAME)).values == FOUND
                second.udp = with_code(code)
                assert (await client.ask(NAME)).code == code
                # The name may be at fault: the first one stays the first.
                first.udp = honest
                assert (await client.ask(NAME)).values == FOUND
                assert (len(first.asked), len(second.asked)) == (3, 2)

    asyncio.run(check())


@on_both_loops
async def test_a_dead_one_and_a_silent_one_are_asked_last(tmp_path):
    mute, good = Upstream(silent), Upstream(honest)
    async with (
        upstreams(mute, good) as port,
        forwarding(tmp_path, port, "127.0.0.9", "127.0.0.2", "127.0.0.3") as names,
    ):
        with Client(names.port) as client:
            for _ in range(5):
                assert (await client.ask(NAME)).values == FOUND
        assert len(mute.asked) < 5
        assert len(good.asked) >= 5


@on_both_loops
async def test_a_question_that_is_lost_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder, "DEADLINE_S", DEADLINE_S)
    upstream = Upstream(lambda data: honest(data) if len(upstream.asked) > 1 else [])
    async with upstreams(upstream) as port, forwarding(tmp_path, port, "127.0.0.2") as names:
        with Client(names.port) as client:
            assert (await client.ask(NAME)).values == FOUND


@on_both_loops
async def test_where_none_answers_that_is_said_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder, "DEADLINE_S", 0.6)
    async with upstreams(Upstream(silent), Upstream(silent)) as port, forwarding(tmp_path, port) as names:
        with Client(names.port) as client:
            found = await client.ask(NAME, more=[dns.edns()])
            assert (found.code, found.name, found.edns is not None) == (dns.SERVFAIL, NAME, True)
        assert names.counts.failed == 1


BIG = [(dns.TXT, b"\xff" + bytes(255))] * 20


def cut(data):
    return [reply(data, flags=0x8380)]


def whole(data):
    return reply(data, records=BIG)


@on_both_loops
async def test_what_is_cut_is_asked_for_by_tcp_for_whom_it_fits(tmp_path):
    upstream = Upstream(cut, whole)
    async with upstreams(upstream) as port, forwarding(tmp_path, port) as names, Stream.to(names.port) as stream:
        with Client(names.port) as client:
            found = await client.ask(NAME)
            assert (found.truncated, upstream.connections) == (True, 0)
        found = await stream.ask(NAME)
        assert (found.truncated, len(found.answers), found.name) == (False, 20, NAME)
        # One that heeds no limit.
        upstream.udp = lambda data: [whole(data)]
        with Client(names.port) as client:
            found = await client.ask(NAME, more=[dns.edns()])
            assert (found.truncated, found.answers, found.name) == (True, [], NAME)


def breaking_off(data):
    return whole(data)[:40]


def other_question(data):
    return reply(data, question=dns.query("example.org")[12:])


@pytest.mark.parametrize("tcp", [None, breaking_off, other_question], ids=["refused", "broken", "another"])
def test_without_a_whole_answer_by_tcp_the_next_one_is_asked(tmp_path, tcp):
    async def check():
        first, second = Upstream(cut, tcp), Upstream(cut, whole)
        async with (
            upstreams(first, second) as port,
            forwarding(tmp_path, port) as names,
            Stream.to(names.port) as stream,
        ):
            assert len((await stream.ask(NAME)).answers) == 20
            # It answers by UDP, and stays the first.
            assert len((await stream.ask(NAME)).answers) == 20
            assert len(first.asked) == 2

    asyncio.run(check())


@on_both_loops
async def test_a_full_house_says_so_and_others_have_their_room(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder, "MAX_IN_FLIGHT_OF_CLIENT", 4)
    monkeypatch.setattr(forwarder, "MAX_IN_FLIGHT", 6)
    monkeypatch.setattr(forwarder, "TRY_S", DEADLINE_S)
    monkeypatch.setattr(forwarder, "DEADLINE_S", DEADLINE_S)
    upstream = Upstream(silent)
    async with (
        contextlib.AsyncExitStack() as opened,
        upstreams(upstream) as port,
        forwarding(tmp_path, port, "127.0.0.2") as names,
    ):
        clients = [opened.enter_context(Client(names.port, source=f"127.0.0.{number}")) for number in (5, 6, 7)]
        for client, room in zip(clients, (4, 2, 0), strict=True):
            for ident in range(room + 1):
                client.send(dns.query(NAME, ident=ident))
            # Those before it wait for the one that does not answer.
            refused = await client.receive()
            assert (refused.ident, refused.code) == (room, dns.SERVFAIL)
        await upstream.until_asked(6)
        for data, address in upstream.asked:
            upstream.transport.sendto(honest(data)[0], address)
        upstream.udp = honest
        for client, room in zip(clients, (4, 2, 0), strict=True):
            assert {(await client.receive()).ident for _ in range(room)} == set(range(room))
            assert (await client.ask(NAME)).values == FOUND


@on_both_loops
async def test_a_changed_resolv_conf_is_read_again(tmp_path):
    conf = tmp_path / "resolv.conf"
    async with (
        upstreams(Upstream(honest), Upstream(honest)) as port,
        forwarding(tmp_path, port, "127.0.0.2") as names,
    ):
        with Client(names.port) as client:
            assert (await client.ask(NAME)).values == FOUND
            conf.unlink()
            assert (await client.ask(NAME)).code == dns.SERVFAIL
            conf.write_text("options edns0\nnameserver localhost\nnameserver\nnameserver 127.0.0.3 more\n")
            assert (await client.ask(NAME)).values == FOUND
            other = tmp_path / "other"
            other.write_text("# nameserver 127.0.0.3\n; nameserver 127.0.0.3\nnameserver fe80::1%nowhere\n")
            other.replace(conf)
            assert (await client.ask(NAME)).code == dns.SERVFAIL


@on_both_loops
async def test_it_never_asks_itself(tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    asked = []

    def resolve(question, client):
        asked.append(client)
        return FORWARD

    async with serving(resolve, conf, upstream_port=None) as names:
        with Client(names.port) as client:
            assert (await client.ask(NAME)).code == dns.SERVFAIL
    assert asked == ["127.0.0.1"]


@on_both_loops
async def test_two_that_ask_each_other_come_to_an_end(tmp_path):
    async with contextlib.AsyncExitStack() as opened:
        port = 0
        for host, other in (("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")):
            conf = tmp_path / host
            conf.write_text(f"nameserver {other}\n")
            serves = serving(lambda question, client: FORWARD, conf, host=host, port=port, upstream_port=None)
            port = (await opened.enter_async_context(serves)).port
        with Client(port, source="127.0.0.9") as client:
            assert (await client.ask(NAME)).code == dns.SERVFAIL
            assert (await client.ask("example.org")).code == dns.SERVFAIL


@on_both_loops
async def test_a_resolver_at_an_address_of_ipv6(tmp_path):
    upstream = Upstream(honest)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: upstream, local_addr=("::1", 0))
    port = upstream.transport.get_extra_info("sockname")[1]
    async with forwarding(tmp_path, port, "::1") as names:
        with Client(names.port) as client:
            assert (await client.ask(NAME)).values == FOUND
    upstream.transport.close()


@on_both_loops
async def test_a_second_server_of_ours_is_one_like_any_other(tmp_path):
    (tmp_path / "none").touch()
    upstream = Upstream(honest)
    async with upstreams(upstream) as port, forwarding(tmp_path, port, "127.0.0.2") as behind:
        conf = tmp_path / "front.conf"
        conf.write_text("nameserver 127.0.0.1\n")
        front = serving(lambda question, client: FORWARD, conf, host="127.0.0.8", upstream_port=behind.port)
        async with front as names:
            with Client(names.port, host="127.0.0.8") as client:
                assert (await client.ask(NAME)).values == FOUND


@on_both_loops
async def test_an_end_does_not_wait_for_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(forwarder, "TRY_S", 10 * DEADLINE_S)
    monkeypatch.setattr(forwarder, "DEADLINE_S", 10 * DEADLINE_S)
    upstream = Upstream(silent)
    async with (
        upstreams(upstream) as port,
        forwarding(tmp_path, port, "127.0.0.2") as names,
        Stream.to(names.port) as stream,
    ):
        with Client(names.port) as client:
            client.send(dns.query(NAME))
            stream.send(dns.query(NAME))
            await upstream.until_asked(2)


def test_resolvers_are_named_as_glibc_reads_them():
    text = (
        b"nameserver 1.1.1.1\n\tnameserver\t2.2.2.2 x\n#nameserver 3\nsearch nameserver\nNAMESERVER 4\nnameserver"
    )
    assert hosts_in(text) == ["1.1.1.1", "2.2.2.2"]
    assert hosts_in(b"nameserver \xff\xfe\n\0\nnameserver 1.1.1.1\r\n") == ["\ufffd\ufffd", "1.1.1.1"]


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.2\n" * 100_000)
    found = asyncio.run(resolvers.Resolvers(conf).servers())
    assert len(found) == resolvers.MAX_SERVERS
