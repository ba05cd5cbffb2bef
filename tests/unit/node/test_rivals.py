"""Who is let in under a Raft id or a name that somebody else has."""

import asyncio

import pytest

from orion.model.errors import Conflict, Unavailable
from orion.node.membership.rivals import Rivals
from orion.ports.peers import Greeted, PortProbe

ME = Greeted("node1", 1, 5, 0, 11, "10.0.0.1:7000")
TWO = Greeted("node2", 2, 5, 0, 22, "10.0.0.2:7000")


class Net:
    """Who answers where."""

    run = ME.run

    def __init__(self, *there):
        self.there = {greeted.address: greeted for greeted in there}
        self.asked = []

    async def who(self, address, *, timeout_s):
        self.asked.append(address)
        if address not in self.there:
            raise Unavailable("nobody")
        return self.there[address]

    async def probe(self, address, *, tries):
        return PortProbe.ACCEPTED if address in self.there else PortProbe.REFUSED


class Known:
    """Where the cluster has each, as a directory says it."""

    cluster, recovery = 5, 0

    def __init__(self, *known):
        self.known = known

    def address_of_raft(self, raft):
        return next((k.address for k in self.known if k.raft_id == raft), None)

    def address_of_node(self, node):
        return next((k.address for k in self.known if k.node == node), None)

    def all_seen(self):
        return []


def changed(greeted, **changes):
    return Greeted(**{f: changes.get(f, getattr(greeted, f)) for f in greeted.__struct_fields__})


COPY = changed(TWO, run=99, address="10.0.0.9:7000")
NAMESAKE = changed(COPY, raft_id=9, cluster=0)


def gate(net, directory, ended=None):
    return Rivals(
        me=ME.node,
        raft=ME.raft_id,
        address=ME.address,
        data_dir="/data",
        peers=net,
        directory=directory,
        on_rival=(ended if ended is not None else []).append,
    )


async def rival_of(rivals, greeted):
    return "" if rivals.knows(greeted) else await rivals.rival(greeted)


@pytest.mark.parametrize("second", [COPY, NAMESAKE], ids=["copy", "namesake"])
@pytest.mark.parametrize("met_before", [True, False])
def test_the_second_one_is_turned_away_while_the_first_answers(second, met_before):
    async def check():
        net = Net(TWO, second)
        rivals = gate(net, Known(TWO))
        if met_before:
            assert rivals.knows(TWO)
        for _ in range(2):
            assert await rival_of(rivals, second) == TWO.address
        assert rivals.knows(TWO)

    asyncio.run(check())


ANOTHER = changed(TWO, node="node7", raft_id=7)


@pytest.mark.parametrize(
    ("second", "there"),
    [
        (COPY, None),
        (COPY, ANOTHER),
        (COPY, changed(TWO, cluster=6)),
        (COPY, changed(TWO, recovery=1 << 32)),
        (NAMESAKE, None),
        (NAMESAKE, ANOTHER),
    ],
)
def test_one_that_moved_is_let_in_where_nobody_answers_as_it(second, there):
    async def check():
        net = Net(*([there] if there else []), second)
        rivals = gate(net, Known(TWO))
        assert await rival_of(rivals, second) == ""
        net.asked.clear()
        assert rivals.knows(second), "it is asked about once"

    asyncio.run(check())


def test_a_restart_at_the_same_address_is_let_in():
    async def check():
        again = changed(TWO, run=23)
        rivals = gate(Net(again), Known(TWO))
        assert rivals.knows(TWO)
        assert await rival_of(rivals, again) == ""
        assert rivals.knows(again)

    asyncio.run(check())


def test_two_hosts_that_call_the_same_address_theirs():
    """Whoever is there when it is dialled has it."""

    async def check():
        other = changed(TWO, run=23)
        rivals = gate(Net(TWO), Known(TWO))
        assert rivals.knows(TWO)
        assert await rival_of(rivals, other) == TWO.address

    asyncio.run(check())


@pytest.mark.parametrize("changes", [{"raft": 1, "node": "node9"}, {"raft": 9}])
def test_whoever_comes_as_this_very_node_is_turned_away(changes):
    async def check():
        rivals = gate(Net(), Known(ME, TWO))
        stranger = changed(changed(ME, run=99, address="10.0.0.9:7000"), **changes)
        assert await rival_of(rivals, stranger) == ME.address
        assert rivals.knows(ME)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (
            changed(ME, run=99, address=TWO.address),
            "node1 runs already and answers at 10.0.0.2:7000, with the same",
        ),
        (
            changed(ME, run=99, raft_id=9, address=TWO.address),
            "the name node1 is taken: a node of that name answers at",
        ),
        (changed(ME, address=TWO.address), ""),
        (TWO, ""),
        (None, ""),
    ],
)
def test_a_node_ends_only_by_what_it_has_seen(there, words):
    async def check():
        ended = []
        rivals = gate(Net(*([there] if there else [])), Known(ME), ended)
        runner = asyncio.ensure_future(rivals.run())
        rivals.told(TWO.address)
        for _ in range(10):
            await asyncio.sleep(0)
        assert [text[: len(words)] for text in ended] == ([words] if words else [])
        if words:
            with pytest.raises(Conflict):
                await rivals.check(TWO.address)
        runner.cancel()

    asyncio.run(check())


def test_an_address_belongs_to_who_answers_there_with_its_data_directory():
    async def check():
        rivals = gate(Net(TWO), Known(TWO))
        assert await rivals.claimed(TWO.node, TWO.raft_id, TWO.address)
        assert not await rivals.claimed(TWO.node, 9, TWO.address)
        assert not await rivals.claimed(TWO.node, TWO.raft_id, "10.0.0.8:7000")
        assert await rivals.claimed(ME.node, ME.raft_id, ME.address)
        assert not await rivals.claimed(ME.node, 9, ME.address)

    asyncio.run(check())
