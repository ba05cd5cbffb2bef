"""state/tables/ingress.py: a port of every node is one job's."""

import pytest
from rollout_kit import Rollout
from state_kit import WEB

from orion.model.errors import Conflict, Refused
from orion.model.job import DYNAMIC_PORTS, IngressBinding, PortBinding
from orion.model.levels import LEVEL
from orion.state.check import rebuilt, state_hash
from orion.state.records import port_key
from orion.state.tables.ingress import Ingress
from orion.state.tables.plans import ports_fit

HTTP = (IngressBinding(8080, 80, "tcp"),)
OTHER = (IngressBinding(9090, 80, "tcp"),)


@pytest.fixture
def world():
    made = Rollout(0)
    for node in ("node1", "node2"):
        made.register(node, level=LEVEL, labels=(("overlay", "vxlan"),))
    return made


def answers(allocation):
    return {"state": "running", "started_at_ms": 1, "ready_since_ms": 1} if allocation.wanted else None


def ports(world):
    return {row.key >> 1: row.job for row in world.state.of(Ingress).rows.values()}


def test_a_job_has_its_ports_until_it_is_removed(world):
    world.deploy(ingress=HTTP)
    world.run(answers)
    assert ports(world) == {8080: "web"}
    world.stop("web")
    assert ports(world) == {8080: "web"}, "it is to be started again"
    world.rm("web")
    assert ports(world) == {}
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_a_port_is_one_jobs(world):
    world.deploy(ingress=HTTP)
    refused = world.deploy(name="api", ingress=HTTP).result
    assert isinstance(refused, Conflict)
    assert "port 8080 is web's on every node" in refused.detail
    udp = (IngressBinding(8080, 80, "udp"),)
    assert world.deploy(name="api", ingress=udp).result == "api"


def test_a_port_of_every_node_is_no_host_port_on_any(world):
    world.deploy(ingress=HTTP)
    assert isinstance(world.deploy(name="api", ports=(WEB,)).result, Conflict)
    same = (PortBinding(80, "tcp", 9090),)
    assert isinstance(world.deploy(name="both", ports=same, ingress=OTHER).result, Refused)


def test_a_host_port_in_use_is_none_of_every_node(world):
    world.create("api", ports=(WEB,))
    world.place("api", (0, "node1"), ports=[(8080,)])
    refused = world.deploy(ingress=HTTP).result
    assert isinstance(refused, Conflict)
    assert "open for api/0 on node1" in refused.detail


def test_no_host_port_is_chosen_that_is_every_nodes():
    port = DYNAMIC_PORTS[7]
    bindings = (PortBinding(80, "tcp"),)
    assert ports_fit({}, (), bindings, (port,))
    assert not ports_fit({}, {port_key(port, "tcp")}, bindings, (port,))


def test_the_former_versions_ports_are_kept_while_it_is_wanted(world):
    world.deploy(ingress=HTTP)
    world.run(answers)
    world.deploy(ingress=OTHER)
    assert ports(world) == {8080: "web", 9090: "web"}
    world.run(answers)
    assert ports(world) == {9090: "web"}
    assert world.deploy(name="api", ingress=HTTP).result == "api"
    refused = world.roll_back().result
    assert isinstance(refused, Conflict), "another job has its port now"


def test_a_port_goes_once_no_slot_wants_the_version_that_asked_for_it(world):
    """Not only when the deployment ends: that version was never healthy, so nothing goes back to it."""
    world.deploy(count=2)
    world.run(answers)
    world.deploy(count=2, ingress=HTTP)
    world.tick(answers)
    world.deploy(count=2, ingress=OTHER)
    assert ports(world) == {8080: "web", 9090: "web"}, "a slot wants it still"
    record, seen = world.view.job_record("web"), []

    def watch():
        wanted = 1 in (record.rollout.slots or ())
        assert ports(world) == ({8080: "web", 9090: "web"} if wanted else {9090: "web"})
        seen.append((wanted, world.deployment().running))

    world.run(answers, watch=watch)
    assert (False, True) in seen
    assert state_hash(rebuilt(world.state)) == state_hash(world.state)


def test_a_slot_that_only_ends_keeps_no_port(world):
    world.deploy(count=2)
    world.run(answers)
    world.deploy(count=2, ingress=HTTP)
    world.tick(answers)
    [second] = [each for each in world.active() if each.index == 1]
    world.deploy(count=1)
    assert second in world.active()
    assert ports(world) == ({8080: "web"} if 1 in world.view.job_record("web").rollout.slots[:1] else {})
