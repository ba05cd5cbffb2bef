"""Host ports that nodes listen on themselves are given to no task."""

import pytest
from state_kit import World

from orion.model.errors import Invalid
from orion.model.job import DYNAMIC_PORTS, PortBinding
from orion.model.levels import LEVEL
from orion.model.placement import PortShortage
from orion.node.routing.own_ports import refuse_own_ports
from orion.scheduler.pools import Pools
from orion.scheduler.schedule import schedule


def world_of(*nodes):
    """(name, engine, API port) of each; peers at 7000, gossip at 6000."""
    world = World()
    for name, engine, port in nodes:
        world.register(
            name,
            api_address=f"10.0.0.1:{port}",
            peer_address="10.0.0.1:7000",
            engine=engine,
            gossip_port=6_000,
            labels=(("id", name),),
            level=LEVEL,
        )
    return world


def planned(world, name="web", port=8_000, **task):
    world.create(name, ports=(PortBinding(80, "tcp", port),), **task)
    return schedule(world.view, [name], Pools())


def numbers(plan):
    return [number for group in plan.placements for number in group.nodes]


def test_a_task_goes_to_a_node_that_does_not_need_its_port_itself():
    world = world_of(("a", "one", 8_000), ("b", "two", 8_001))
    assert numbers(planned(world, port=8_000)) == [2]
    world = world_of(("a", "one", 8_000), ("b", "two", 8_001))
    assert numbers(planned(world, port=8_001)) == [1]


def test_nodes_of_one_engine_share_their_own_ports():
    world = world_of(("a", "one", 8_000), ("b", "one", 8_001))
    plan = planned(world, port=8_001)
    assert numbers(plan) == []
    assert plan.refusals[0].why.ports == (PortShortage(8_001, "tcp", 2, own=True),)


def test_a_port_that_orion_chooses_is_none_of_its_own():
    for port in (DYNAMIC_PORTS.start, DYNAMIC_PORTS.stop - 1):
        world = world_of(("a", "one", port))
        for at in range(20):
            world.create(f"web{at}", ports=(PortBinding(80, "tcp"),))
        plan = schedule(world.view, [f"web{at}" for at in range(20)], Pools())
        given = [ports for group in plan.placements for (ports,) in group.ports]
        assert len(given) == 20
        assert port not in given


@pytest.mark.parametrize(
    ("port", "protocol", "refused"),
    [
        (8_000, "tcp", False),  # on one node, and free on the other
        (7_000, "tcp", True),
        (6_000, "tcp", True),
        (6_000, "udp", True),
        (7_000, "udp", False),
        (0, "tcp", False),
    ],
)
def test_what_no_node_can_give_is_refused_before_it_is_written(port, protocol, refused):
    world = world_of(("a", "one", 8_000), ("b", "two", 8_001))
    world.create("web", ports=(PortBinding(80, protocol, port),))
    job = world.view.job("web")
    if not refused:
        refuse_own_ports(world.view, job)
        return
    with pytest.raises(Invalid, match="Orion itself listens on") as caught:
        refuse_own_ports(world.view, job)
    assert [error.pointer for error in caught.value.errors] == [f"/portBindings/80~1{protocol}"]


def test_where_labels_leave_only_nodes_that_need_it_themselves_it_is_refused():
    world = world_of(("a", "one", 8_000), ("b", "two", 8_001))
    world.create("web", ports=(PortBinding(80, "tcp", 8_000),), constraints=(("id", "a"),))
    with pytest.raises(Invalid, match="on every node with these labels"):
        refuse_own_ports(world.view, world.view.job("web"))
    world.create("other", ports=(PortBinding(80, "tcp", 8_000),), constraints=(("id", "no such"),))
    refuse_own_ports(world.view, world.view.job("other"))
