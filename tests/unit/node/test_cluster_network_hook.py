"""node/agent/hooks/cluster_network.py: which container is attached where, and what it waits for."""

import asyncio

import pytest

from orion.model.allocation import Allocation
from orion.model.container import Attachment
from orion.model.errors import EngineError
from orion.model.job import TaskSpec
from orion.model.network import ClusterNetwork, NamedNetwork, NetworkPeer, parse_range
from orion.node.agent.hooks.cluster_network import ClusterNetworkAttachment, GuardBeforeStart
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest
from orion.reconcile.local_network import local_network

RANGE = parse_range("10.200.0.0/16")
NETWORK = ClusterNetwork(
    RANGE,
    (NetworkPeer("node1", RANGE.first + 256, "10.77.0.1"),),
    (NamedNetwork("front", 7, internal=False, peers=(NetworkPeer("node1", RANGE.first + 512, "10.77.0.1"),)),),
)
PARTS = local_network(NETWORK, "node1", 5, underlay="10.77.0.1", underlay_mtu=1500).parts
FIRST, SECOND = RANGE.first + 256 + 2, RANGE.first + 512 + 2


class Local:
    """What is up is given; what it is asked to do is noted."""

    def __init__(self, *, parts=PARTS, wanted=True, why=""):
        self.parts, self.wanted, self.why = parts, wanted, why
        self.asked = []

    def part_at(self, address):
        return next((part for part in self.parts if 0 <= address - part.first < 256), None)

    def dns(self, part):
        return part.engine.gateway

    async def connect(self, container, attach):
        self.asked.append(("connect", container, attach.others))

    async def route(self, container, allocation):
        self.asked.append(("route", container, allocation.id))


def attached(local, ip=FIRST, more=(), *, networks=(), allowed=(), container="", ran=False):
    allocation = Allocation(1, "web", 0, 0, "node1", ip=ip, more_ips=more)
    spec = TaskSpec("nginx", networks=networks, allow_from=allowed)
    start = StartRequest(allocation, spec, container, ran)
    return asyncio.run(ClusterNetworkAttachment(local).prestart(start, Prepared(spec))).attach


def test_a_container_is_attached_to_all_networks_of_its_task():
    assert attached(Local()) == Attachment("orion", "10.200.1.2", "10.200.1.1", "orion.internal")
    both = attached(Local(), SECOND, (FIRST,), networks=("front", "default"))
    assert both == Attachment(
        "orion7", "10.200.2.2", "10.200.2.1", "orion.internal", others=(("orion", "10.200.1.2"),)
    )


def test_without_an_address_on_the_default_network_it_is_on_the_engines_own():
    assert attached(Local(), 0) is None
    assert attached(Local(wanted=False)) is None


def test_on_a_network_by_name_it_does_not_start_without_an_address():
    with pytest.raises(EngineError, match="no address left on network front"):
        attached(Local(), 0, networks=("front",))
    with pytest.raises(EngineError, match="no address left on network default"):
        attached(Local(), SECOND, (0,), networks=("front", "default"))
    with pytest.raises(EngineError, match="the cluster's network is off"):
        attached(Local(wanted=False), SECOND, networks=("front",))


def test_it_waits_until_all_of_its_networks_are_up_and_fails_while_one_can_not_be():
    with pytest.raises(NotYet):
        attached(Local(parts=PARTS[:1]), SECOND, networks=("front",))
    with pytest.raises(EngineError, match="not up: no VXLAN"):
        attached(Local(parts=PARTS[:1], why="no VXLAN"), SECOND, networks=("front",))


def test_one_that_was_made_and_has_not_run_is_connected_again():
    local = Local()
    assert attached(local, SECOND, (FIRST,), networks=("front", "default"), container="c1") is None
    assert local.asked == [("connect", "c1", (("orion", "10.200.1.2"),))]
    attached(local, SECOND, (FIRST,), networks=("front", "default"), container="c1", ran=True)
    assert len(local.asked) == 1


def test_one_on_several_networks_has_its_routes_once_it_runs():
    local = Local()
    for more in ((), (FIRST,)):
        allocation = Allocation(1, "web", 0, 0, "node1", ip=SECOND, more_ips=more)
        start = StartRequest(allocation, TaskSpec("nginx"), "c1")
        asyncio.run(ClusterNetworkAttachment(local).poststart(start))
    assert local.asked == [("route", "c1", 1)]


class Guarded:
    def __init__(self, *, guarded=False, why=""):
        self.guarded, self.why = guarded, why

    def guards(self, allocation):
        return self.guarded and bool(allocation.ip)


def start_of(guards, ip=FIRST, allowed=("web",)):
    spec = TaskSpec("nginx", allow_from=allowed)
    start = StartRequest(Allocation(1, "db", 0, 0, "node1", ip=ip), spec, "c1", ran=True)
    return asyncio.run(GuardBeforeStart(guards).prestart(start, Prepared(spec)))


def test_a_task_that_says_who_may_reach_it_starts_once_it_is_guarded():
    assert start_of(Guarded(guarded=True)).attach is None
    with pytest.raises(NotYet, match="keeps others from it"):
        start_of(Guarded())


def test_one_that_can_not_be_guarded_does_not_start():
    with pytest.raises(EngineError, match=r"can't keep others from it .*: no nft"):
        start_of(Guarded(why="no nft"))
    with pytest.raises(EngineError, match="no address left"):
        start_of(Guarded(guarded=True), ip=0)
    with pytest.raises(EngineError, match="no address left on network default"):
        attached(Local(), 0, allowed=("web",))
    with pytest.raises(EngineError, match="the cluster's network is off"):
        attached(Local(wanted=False), allowed=("web",))


def test_others_start_whatever_is_guarded():
    assert start_of(Guarded(why="no nft"), allowed=()).attach is None
