"""reconcile/guard.py: whom a node keeps from which of its tasks, and the rules for it."""

import pytest
from msgspec.structs import replace

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.guard import MAX_ADDRESSES, Guard, GuardNetwork, GuardRules
from orion.model.job import TaskSpec
from orion.model.network import ClusterNetwork, NetworkPeer, parse_range
from orion.reconcile.guard import TABLE, TooManySources, guard_rules, ruleset
from orion.reconcile.local_network import local_network

RANGE = parse_range("10.200.0.0/16")
NETWORK = ClusterNetwork(RANGE, (NetworkPeer("node1", RANGE.first + 256, "10.77.0.1"),))
PARTS = local_network(NETWORK, "node1", 5, underlay="10.77.0.1", underlay_mtu=1500).parts
OWN, SECOND, WEB, APP = RANGE.first + 258, RANGE.first + 259, RANGE.first + 300, RANGE.first + 600
SOURCES = {"web": (WEB,), "app": (APP,), "db": (OWN, SECOND)}


def task(job, ip, *, allowed=(), more=()):
    return Allocation(ip, job, 0, 0, "node1", ip=ip, more_ips=more), TaskSpec("nginx", allow_from=allowed)


def guards(*mine, sources=SOURCES):
    return guard_rules(RANGE, PARTS, mine, sources).guards


def test_a_task_is_guarded_from_all_but_its_own_job_and_those_that_it_allows():
    assert guards(task("db", OWN, allowed=("web",))) == (Guard((OWN,), (OWN, SECOND, WEB)),)
    assert guards(task("db", OWN, allowed=("gone",)), sources={}) == (Guard((OWN,), (OWN,)),)


def test_a_task_that_allows_everybody_or_has_no_address_is_not():
    assert guards(task("web", WEB), task("db", 0, allowed=("web",))) == ()


def test_one_that_was_lost_is_guarded_as_long_as_it_may_run_on():
    allocation, spec = task("db", OWN, allowed=("web",))
    lost = replace(allocation, status=AllocationStatus(AllocationState.LOST))
    for may_return, guarded in (((), False), ((lost.id,), True)):
        found = guard_rules(RANGE, PARTS, [(lost, spec)], SOURCES, may_return).guards
        assert bool(found) is guarded


def test_all_addresses_of_a_task_are_guarded_and_tasks_of_one_version_have_one_guard():
    found = guards(task("db", OWN, allowed=("web",), more=(APP + 1,)), task("db", SECOND, allowed=("web",)))
    assert found == (Guard((OWN, SECOND, APP + 1), (OWN, SECOND, WEB, APP + 1)),)


def test_tasks_of_two_versions_have_each_what_theirs_says():
    found = guards(task("db", OWN, allowed=("web",)), task("db", SECOND, allowed=("app",)))
    assert {each.addresses: each.sources for each in found} == {
        (OWN,): (OWN, SECOND, WEB),
        (SECOND,): (OWN, SECOND, APP),
    }


def test_more_sources_than_a_kernel_is_given_are_refused_in_words():
    with pytest.raises(TooManySources, match="name fewer or smaller jobs"):
        guards(task("db", OWN, allowed=("web",)), sources={"web": range(MAX_ADDRESSES)})


def test_an_address_is_guarded_once():
    with pytest.raises(ValueError, match="guarded twice"):
        GuardRules("10.200.0.0/16", (), (Guard((OWN,), ()), Guard((OWN,), ())))


def test_each_change_of_an_address_is_seen_in_the_comments():
    networks = (GuardNetwork("orion0", "orion.vx"),)
    one, other = (
        ruleset(GuardRules("10.200.0.0/16", networks, (Guard((OWN,), sources),)))
        for sources in ((OWN,), (OWN, WEB))
    )
    assert one.shown.keys() == other.shown.keys() == {"to_0", "forward"}
    assert one.shown != other.shown
    assert one.script.startswith(f"table ip {TABLE}\ndelete table ip {TABLE}\n")
    assert "10.200.1.2 : goto to_0" in one.script
