"""The way from a node to the one that answers: which is asked, when the next one is, and what is said at last."""

import asyncio
import contextlib
import random
from types import SimpleNamespace
from typing import ClassVar

import msgspec
import pytest

from orion.model.errors import Conflict, NoMajority, NotTaken, OrionError, Refused, Unavailable
from orion.model.membership import NodeRole
from orion.node.routing import forward
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submit, Submitted
from orion.node.rpc.lists import Lists
from orion.node.rpc.reads import Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import (
    ALIVE,
    CallRequest,
    ListRequest,
    NotUnderstood,
    Place,
    StreamRequest,
    encode_reply,
)
from orion.ports.peers import Principal

ME = "node1"


class Ask(CallRequest[str], frozen=True, tag=1_001):
    read: Read = Read()


class Find(ListRequest, frozen=True, tag=1_002):
    read: Read = Read()


class Follow(StreamRequest[str], frozen=True, tag=1_003):
    silence_s: ClassVar = 0.05


class Watch(StreamRequest[str], frozen=True, tag=1_004):
    resumable: ClassVar = True


class Tell(CallRequest[str], frozen=True, tag=1_005):
    at: ClassVar = Place.NODE


class Voters:
    """Stands in for the transport and for what gossip says. Each voter is given what it answers: errors are raised,
    None hangs.
    """

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []
        self.roles = {}

    def voters(self, *, given_up=False):
        return [
            SimpleNamespace(
                member=SimpleNamespace(node=name),
                metadata=SimpleNamespace(peer_address=name, role=self.roles.get(name, NodeRole.VOTER)),
            )
            for name in [ME, *self.answers]
        ]

    def address_of_raft(self, raft):
        return f"leader{raft}"

    def address_of_node(self, node):
        return node if node in self.answers else None

    async def call(self, address, request, *, timeout_s):
        self.asked.append(address)
        self.request = request
        answer = self.answers.get(address, encode_reply(f"from {address}"))
        if isinstance(answer, OrionError):
            raise answer
        return answer

    async def stream(self, address, request):
        self.asked.append(address)
        for item in self.answers[address]:
            if item is None:
                await asyncio.sleep(3600)
            if isinstance(item, OrionError):
                raise item
            yield item


class Quorum:
    @contextlib.asynccontextmanager
    async def deadline(self, seconds, words):
        async with asyncio.timeout(seconds):
            yield


def way(voters, *, member=False, leader=0):
    """A Forward, on a node that follows the log as told."""
    driver = SimpleNamespace(is_member=member, standing=SimpleNamespace(leader=leader))
    registry = Registry(ME, lambda: driver.is_member)

    async def here(request, asker):
        return f"here, for {asker.node}"

    async def items(request, asker):
        yield "here"
        yield ALIVE

    registry.answer_call(Ask, here)
    registry.answer_call(Tell, here)
    registry.answer_stream(Follow, items)
    registry.answer_stream(Watch, items)
    made = Forward(
        me=ME,
        driver=driver,
        directory=voters,
        peers=voters,
        quorum=Quorum(),
        registry=registry,
        lists=Lists(),
        rng=random.Random(1),
    )
    made.driver = driver
    return made


def done(work):
    return asyncio.run(work)


async def all_of(items):
    return [item async for item in items]


def words(*texts):
    return [encode_reply(text) for text in texts]


# --- calls -------------------------------------------------------------------------------------------------


def test_a_node_that_follows_the_log_answers_itself():
    voters = Voters(b=b"")
    assert done(way(voters, member=True, leader=1).ask(Ask())) == "here, for node1"
    assert voters.asked == []


def test_without_a_leader_only_a_stale_answer_is_given_here():
    voters = Voters(b=encode_reply("from b"))
    assert done(way(voters, member=True).ask(Ask(Read(stale=True)))) == "here, for node1"
    assert done(way(voters, member=True).ask(Ask())) == "from b"


def test_the_next_voter_is_asked_where_one_is_unavailable():
    voters = Voters(b=Unavailable("gone"), c=encode_reply("from c"))
    assert done(way(voters).ask(Ask())) == "from c"
    assert voters.asked == ["b", "c"]


def test_a_refusal_is_the_answer():
    voters = Voters(b=Conflict("no"), c=encode_reply("from c"))
    with pytest.raises(Conflict, match="no"):
        done(way(voters).ask(Ask()))
    assert voters.asked == ["b"]


@pytest.mark.parametrize("telling", [NoMajority("2 of 3 are gone"), NotUnderstood("strange")])
def test_what_says_more_than_unavailable_is_what_is_raised(telling):
    voters = Voters(b=telling, c=Unavailable("gone"))
    with pytest.raises(type(telling), match=telling.detail):
        done(way(voters).ask(Ask()))
    assert voters.asked == ["b", "c"]


def test_voters_are_asked_again(monkeypatch):
    monkeypatch.setattr(forward, "RETRY_S", 0.001)
    voters = Voters(b=Unavailable("gone"))

    async def main():
        asked = asyncio.ensure_future(way(voters).ask(Ask(Read(timeout_s=600))))
        async with asyncio.timeout(120):
            while len(voters.asked) < 2:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.001)
        assert not asked.done()
        asked.cancel()

    done(main())


def test_voters_are_asked_until_the_deadline(monkeypatch):
    monkeypatch.setattr(forward, "RETRY_S", 0.001)
    with pytest.raises(TimeoutError):
        done(way(Voters(b=Unavailable("gone"))).ask(Ask(Read(timeout_s=0.2))))


def test_a_node_that_follows_the_log_by_then_answers_itself(monkeypatch):
    monkeypatch.setattr(forward, "RETRY_S", 0.001)
    voters = Voters(b=Unavailable("gone"))
    made = way(voters)

    async def main():
        asked = asyncio.ensure_future(made.ask(Ask()))
        await asyncio.sleep(0)
        made.driver.is_member, made.driver.standing.leader = True, 1
        return await asked

    assert done(main()) == "here, for node1"


# --- streams -----------------------------------------------------------------------------------------------


def test_a_stream_is_here_where_the_log_is_followed_and_its_signs_of_life_are_kept_back():
    voters = Voters(b=words("b"))
    assert done(all_of(way(voters, member=True).stream(Follow()))) == ["here"]
    assert voters.asked == []


def test_a_stream_goes_to_the_next_voter_where_one_has_sent_nothing():
    voters = Voters(b=[b"", Unavailable("cut off")], c=[b"", *words("1", "2")])
    assert done(all_of(way(voters).stream(Follow()))) == ["1", "2"]


def test_a_stream_that_has_begun_is_not_begun_again_elsewhere():
    voters = Voters(b=[*words("1"), Unavailable("cut off")], c=words("1"))
    with pytest.raises(Unavailable, match="cut off"):
        done(all_of(way(voters).stream(Follow())))
    assert voters.asked == ["b"]


def test_a_stream_that_is_refused_is_refused():
    with pytest.raises(Refused, match="no"):
        done(all_of(way(Voters(b=[Refused("no")], c=words("1"))).stream(Follow())))


def test_a_silent_voter_is_left_for_the_next_one():
    voters = Voters(b=[None], c=words("1"))
    assert done(all_of(way(voters).stream(Follow()))) == ["1"]
    with pytest.raises(Unavailable, match=r"b has said nothing for 0\.05 s"):
        done(all_of(way(Voters(b=[*words("1"), None])).stream(Follow())))


def test_nobody_known_is_said():
    with pytest.raises(Unavailable, match="no voter of the cluster is known yet"):
        done(all_of(way(Voters()).stream(Follow())))


def test_any_voter_goes_on_with_a_resumable_stream_and_what_says_most_is_raised_at_last():
    voters = Voters(b=[*words("1"), Unavailable("cut off")], c=[Refused("too old")], d=words("2"))
    got = []

    async def main():
        items = way(voters).from_voters(Watch(), lambda address: lambda text: got.append(f"{address} {text}"))
        await all_of(items)

    with pytest.raises(Refused, match="too old"):
        done(main())
    assert got == ["b 1", "d 2"]


def test_a_resumable_stream_goes_on_here_once_the_log_is_followed():
    """Whoever reads it is told of everything, and not that it has ended."""
    voters = Voters(b=[*words("1"), Unavailable("cut off")], c=words("2"))
    made = way(voters)

    async def main():
        got = []
        async for item in made.stream(Watch()):
            got.append(item)
            made.driver.is_member = True
        return got

    assert done(main()) == ["1", "here"]
    assert voters.asked == ["b"]


def test_a_resumable_stream_goes_on_past_what_can_t_be_understood():
    voters = Voters(b=[b"\xc1"], c=words("2"))

    async def main():
        return await anext(way(voters).from_voters(Watch(), lambda _: lambda text: text))

    assert done(main()) == "2"


def test_a_resumable_stream_ends_once_the_log_is_followed_here():
    voters = Voters(b=words("1"), c=words("2"))

    async def main():
        made = way(voters)
        async for _ in made.from_voters(Watch(), lambda _: lambda text: text):
            made.driver.is_member = True

    done(main())
    assert voters.asked == ["b"]


# --- the leader --------------------------------------------------------------------------------------------

DONE = encode_reply(Submitted(5, "web", 1))


def passed_on(voters):
    return msgspec.msgpack.decode(voters.request, type=Submit)


def test_a_member_passes_a_command_to_the_leader_it_hears_once():
    voters = Voters(leader7=DONE)
    submitted = done(way(voters, member=True, leader=7).ask_leader(Submit(b"x"), timeout_s=1))
    assert (submitted.index, voters.asked, passed_on(voters).forwarded) == (5, ["leader7"], True)
    with pytest.raises(NotTaken, match="node1 does not lead the cluster"):
        done(way(voters, member=True, leader=7).ask_leader(Submit(b"x", forwarded=True), timeout_s=1))


def test_a_member_without_a_leader_goes_by_gossip_once_and_to_no_other_voter():
    voters = Voters(b=DONE, c=DONE)
    with pytest.raises(NotTaken, match="no leader of the cluster is known yet"):
        done(way(voters, member=True).ask_leader(Submit(b"x"), timeout_s=1))
    assert voters.asked == []
    voters.roles["c"] = NodeRole.LEADER
    done(way(voters, member=True).ask_leader(Submit(b"x"), timeout_s=1))
    assert (voters.asked, passed_on(voters).forwarded) == (["c"], True)


def test_a_worker_may_ask_any_voter_who_passes_it_on():
    voters = Voters(b=DONE)
    done(way(voters).ask_leader(Submit(b"x"), timeout_s=1))
    assert (voters.asked, passed_on(voters).forwarded) == (["b"], False)


# --- a node ------------------------------------------------------------------------------------------------


def test_a_named_node_is_asked_and_this_one_answers_itself():
    voters = Voters(b=encode_reply("from b"))
    assert done(way(voters).ask_node("b", Tell(), timeout_s=1)) == "from b"
    assert done(way(voters).ask_node(ME, Tell(), timeout_s=1)) == "here, for node1"
    with pytest.raises(Unavailable, match="nobody has heard of z"):
        done(way(voters).ask_node("z", Tell(), timeout_s=1))


# --- the registry ------------------------------------------------------------------------------------------


def test_who_does_not_follow_the_log_says_so_to_those_who_ask_for_it():
    registry = way(Voters())._registry
    with pytest.raises(Unavailable, match="node1 does not follow the cluster's log"):
        done(registry.answer(Ask(), Principal("b")))
    assert done(registry.answer(Tell(), Principal("b", "anna"))) == "here, for b"


def test_a_request_is_answered_by_one_handler():
    registry = way(Voters())._registry
    with pytest.raises(AssertionError, match="Ask is answered twice"):
        registry.answer_call(Ask, None)
