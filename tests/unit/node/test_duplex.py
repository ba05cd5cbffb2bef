"""Requests that carry both ways, from node to node."""

import asyncio
from typing import ClassVar

import msgspec
import pytest
from cluster_kit import run

from orion.model.errors import Refused, Unavailable
from orion.node.rpc.request import DuplexRequest, NotUnderstood, Place, encode_request
from orion.ports.peers import Principal


class Typed(msgspec.Struct, frozen=True, array_like=True):
    text: str


class Shown(msgspec.Struct, frozen=True, array_like=True):
    text: str
    size: int


class Talk(DuplexRequest[Shown, Typed], frozen=True, tag=1_101):
    at: ClassVar = Place.NODE

    name: str

    def fault(self) -> str:
        return "" if len(self.name) < 10 else "so long a name"


class Follow(DuplexRequest[Shown, Typed], frozen=True, tag=1_102):
    """Answered by who follows the log."""


class Host:
    """Answers Talk on one node."""

    def __init__(self, machine):
        self.askers = []
        self.machine = machine
        machine.node.registry.answer_duplex(Talk, self.talk)
        machine.node.registry.answer_duplex(Follow, self.talk)

    async def talk(self, request, asker, channel):
        self.askers.append(asker)
        if isinstance(request, Talk) and request.name == "strange":
            await channel.send("not a Shown")
        while (typed := await channel.receive()) is not None:
            await channel.send(Shown(typed.text, len(typed.text)))


def of(machine, work):
    return asyncio.shield(machine.run.process.spawn(work))


def talk(machine, to, request, *said):
    """What `to` answers to all that is said."""

    async def whole():
        async with machine.node.forward.duplex_with_node(to.name, request) as channel:
            for text in said:
                await channel.send(text)
            await channel.finish()
            heard = []
            while (shown := await channel.receive()) is not None:
                heard.append(shown)
            return heard

    return of(machine, whole())


def test_values_go_both_ways_and_the_handler_knows_who_asks():
    async def main(nodes):
        one, other = nodes[0], nodes[1]
        host = Host(other)
        heard = await talk(one, other, Talk("anna"), Typed("a"), Typed("bcd"))
        assert heard == [Shown("a", 1), Shown("bcd", 3)]
        assert await talk(other, other, Talk("self"), Typed("x")) == [Shown("x", 1)]
        assert host.askers == [Principal(one.name), Principal(other.name)]

    run(main)


def test_what_can_t_be_read_is_refused_by_who_answers_and_named_by_who_asked():
    async def main(nodes):
        one, other = nodes[0], nodes[1]
        Host(other)
        with pytest.raises(Refused, match=f"what {one.name} sends to Talk can't be read"):
            await talk(one, other, Talk("anna"), [3])
        with pytest.raises(Refused, match=f"what {one.name} sends to Talk can't be read"):
            await talk(one, other, Talk("anna"), 7)
        with pytest.raises(NotUnderstood, match="answered with something this version does not understand"):
            await talk(one, other, Talk("strange"))

    run(main)


def test_a_request_both_ways_is_understood_before_it_is_believed():
    async def main(nodes):
        one, other = nodes[0], nodes[1]
        host = Host(other)
        with pytest.raises(Refused, match=f"Talk from {one.name} asks for too much: so long a name"):
            await talk(one, other, Talk("x" * 10))
        with pytest.raises(Unavailable, match="nobody has heard of node99"):
            async with one.node.forward.duplex_with_node("node99", Talk("anna")):
                pass
        other.node.driver.exclude()
        with pytest.raises(Unavailable, match=f"{other.name} does not follow the cluster's log"):
            await talk(one, other, Follow())
        assert host.askers == []
        registry = other.node.registry
        asked = Principal(one.name), encode_request(Talk("anna"))
        with pytest.raises(Refused, match="Talk is not a call"):
            await registry.on_call(*asked)
        with pytest.raises(Refused, match="Talk is not a stream"):
            await anext(registry.on_stream(*asked))

    run(main)
