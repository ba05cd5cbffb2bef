"""What every `Membership` must do. The checks of `MembershipContract` run over kinship's SWIM on loopback here, and
against the simulator's gossip in tests/sim; what only the real one has is in test_membership_gossip.py.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest
import uvloop

from orion.adapters.gossip import Gossip
from orion.model.ids import NodeId
from orion.ports.membership import Member, MemberEvent, Membership

DEADLINE_S = 30.0


class MembershipBench(Protocol):
    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits; closes what was made after."""

    async def make(self, node: str, seeds: tuple[str, ...] = ()) -> Membership:
        """Not yet started. The same node has the same address each time."""

    def address(self, node: str) -> str:
        """Where a node that was started once is."""

    async def crash(self, node: str) -> None:
        """It ends without a word."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async check as a test."""

    def run(self: object, bench: MembershipBench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


async def up(bench: MembershipBench, node: str, *seeds: str, **metadata: str) -> Membership:
    """Started, and joined to the nodes named."""
    member = await bench.make(node, tuple(bench.address(seed) for seed in seeds))
    await member.start(metadata)
    await member.join()
    return member


def seen(member: Membership, node: str) -> Member | None:
    return next((m for m in member.members() if m.node == node), None)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.02)


async def until_state(member: Membership, node: str, state: str) -> Member:
    await until(lambda: (found := seen(member, node)) and found.state == state)
    found = seen(member, node)
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def told(member: Membership) -> AsyncIterator[list[MemberEvent]]:
    """Events from now on."""
    events = member.events()
    heard: list[MemberEvent] = []

    async def follow() -> None:
        async for event in events:
            heard.append(event)  # noqa: PERF401  it is looked at meanwhile

    runner = asyncio.ensure_future(follow())
    try:
        yield heard
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


def kinds(heard: list[MemberEvent], node: str) -> list[str]:
    """What happened to it, without each suspicion that it refuted: on a slow machine anyone is suspected."""
    found: list[str] = []
    for event in heard:
        if event.member is None or event.member.node != node:
            continue
        if event.kind != "recovered":
            found.append(event.kind)
        elif "suspect" in found:
            del found[len(found) - 1 - found[::-1].index("suspect")]
    return found


class MembershipContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_a_node_alone_sees_itself(self, bench: MembershipBench) -> None:
        alone = await up(bench, "n1", role="worker")
        (me,) = alone.members()
        assert (me.node, me.state, me.metadata) == (NodeId("n1"), "alive", {"role": "worker"})
        assert me.gossip_address == bench.address("n1")
        assert me.epoch > 0

    @checked
    async def test_nodes_see_each_other_with_their_metadata(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1", x="1")
        async with told(a) as heard:
            b = await bench.make("n2", (bench.address("n1"),))
            await b.start({"y": "2", "z": "äöü"})
            assert await b.join() == 1
            c = await up(bench, "n3", "n1")
            for one in (a, b, c):
                for other in ("n1", "n2", "n3"):
                    await until_state(one, other, "alive")
            for one in (a, b, c):
                assert [m.node for m in one.members()] == ["n1", "n2", "n3"]
                found = seen(one, "n2")
                assert found.metadata == {"y": "2", "z": "äöü"}
                assert found.gossip_address == bench.address("n2")
            await until(lambda: kinds(heard, "n2") == kinds(heard, "n3") == ["joined"])

    @checked
    async def test_metadata_that_changes_reaches_the_others(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1", x="1")
        await until_state(a, "n2", "alive")
        async with told(a) as heard:
            await b.set_metadata({"x": "2", "y": "3"})
            await until(lambda: seen(a, "n2").metadata == {"x": "2", "y": "3"})
            await until(lambda: "updated" in kinds(heard, "n2"))
            (*_, last) = (event for event in heard if event.kind == "updated")
            assert last.member.metadata == {"x": "2", "y": "3"}
        assert seen(b, "n2").metadata == {"x": "2", "y": "3"}

    @checked
    async def test_a_crash_is_first_suspected_then_known(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        await up(bench, "n3", "n1", x="1")
        for one in (a, b):
            await until_state(one, "n3", "alive")
        async with told(a) as at_a, told(b) as at_b:
            await bench.crash("n3")
            for one in (a, b):
                assert (await until_state(one, "n3", "dead")).metadata == {"x": "1"}
            for heard in (at_a, at_b):
                await until(lambda heard=heard: kinds(heard, "n3")[-2:] == ["suspect", "dead"])

    @checked
    async def test_the_other_of_two_is_known_to_be_dead_too(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        await until_state(b, "n1", "alive")
        await bench.crash("n1")
        await until_state(b, "n1", "dead")
        assert seen(a, "n1") is not None

    @checked
    async def test_a_node_that_leaves_has_left_and_is_not_dead(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        await until_state(a, "n2", "alive")
        async with told(a) as heard:
            await b.leave()
            await until_state(a, "n2", "left")
            await b.set_metadata({"x": "1"})  # nothing happens any more
            await b.close()
            await until(lambda: kinds(heard, "n2")[-1:] == ["left"])
            assert "dead" not in kinds(heard, "n2")

    @checked
    async def test_a_new_run_replaces_a_dead_one(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        await up(bench, "n2", "n1", run="1")
        first = await until_state(a, "n2", "alive")
        await bench.crash("n2")
        await until_state(a, "n2", "dead")
        async with told(a) as heard:
            await up(bench, "n2", "n1", run="2")
            second = await until_state(a, "n2", "alive")
            await until(lambda: kinds(heard, "n2") == ["joined"])
        assert second.epoch > first.epoch
        assert second.metadata == {"run": "2"}

    @checked
    async def test_a_new_run_replaces_one_that_nobody_has_missed_yet(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        await up(bench, "n2", "n1", run="1")
        first = await until_state(a, "n2", "alive")
        async with told(a) as heard:
            await bench.crash("n2")
            await up(bench, "n2", "n1", run="2")
            await until(lambda: seen(a, "n2").metadata == {"run": "2"})
            await until(lambda: kinds(heard, "n2")[-1:] == ["joined"])
        second = await until_state(a, "n2", "alive")
        assert second.epoch > first.epoch

    @checked
    async def test_a_seed_that_comes_later_is_found(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        b = await up(bench, "n2", "n1")
        await until_state(b, "n1", "alive")
        await bench.crash("n1")
        await b.close()
        b = await bench.make("n2", (bench.address("n1"),))
        await b.start({})
        assert await b.join() == 0
        a = await up(bench, "n1")
        await until_state(b, "n1", "alive")
        await until_state(a, "n2", "alive")

    @checked
    async def test_a_node_that_another_has_found_first_is_not_alone(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        await a.close()
        b = await up(bench, "n2", "n1")
        a = await bench.make("n1", (bench.address("n2"),))
        await a.start({})
        await until_state(a, "n2", "alive")
        await until_state(b, "n1", "alive")
        assert await a.join() == 1

    @checked
    async def test_events_end_at_close(self, bench: MembershipBench) -> None:
        a = await up(bench, "n1")
        events = a.events()
        following = asyncio.ensure_future(_all(events))
        await asyncio.sleep(0)
        await a.close()
        async with asyncio.timeout(DEADLINE_S):
            assert await following == []


async def _all(events: AsyncIterator[MemberEvent]) -> list[MemberEvent]:
    return [event async for event in events]


class GossipBench:
    def __init__(self, make_loop=uvloop.new_event_loop):
        self.make_loop = make_loop
        self.made = {}
        self.ports = {}

    def run(self, check):
        async def whole():
            try:
                async with asyncio.timeout(90):
                    await check()
            finally:
                for gossip in self.made.values():
                    await gossip.close()

        with asyncio.Runner(loop_factory=self.make_loop) as runner:
            runner.run(whole())

    async def make(self, node, seeds=(), **options):
        if node not in self.ports:
            self.ports[node] = await free_port()
        later_millisecond()
        self.made[node] = Gossip(node=NodeId(node), host="127.0.0.1", port=self.ports[node], seeds=seeds, **options)
        return self.made[node]

    def address(self, node):
        return f"127.0.0.1:{self.ports[node]}"

    async def crash(self, node):
        await self.made[node].close()


def later_millisecond():
    """Runs of one name are told apart by the millisecond of their start. No two processes start in the same."""
    began = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == began:
        pass


async def free_port():
    """Free for TCP; that UDP is taken there is not likely on loopback."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


class TestGossip(MembershipContract):
    @pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
    def bench(self, request):
        return GossipBench(request.param)
