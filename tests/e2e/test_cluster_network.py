"""The cluster's own network: nodes on hosts of their own, with real engines, where nothing is forwarded unasked."""

import itertools
import re
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import images
from support.host_network import network_of_host
from support.lab_containers import Container, containers, deployed, switch_on, wait_for_bridges, wait_to_know
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOSTS = (1, 2, 3)
SERVE = "mkdir /www; echo $ORION_TASK > /www/index.html; exec httpd -f -p 80 -h /www"
JOB = {
    "image": images.BUSYBOX,
    "command": ["sh", "-c", SERVE],
    "count": 6,
    "stopGraceSeconds": 0,
    "update": {"monitorSeconds": 0.5},
}


@pytest.fixture
def lab() -> Iterator[LabNodes]:
    with lab_hosts(len(HOSTS), images.busybox) as made:
        yield made


def system_job(**more: object) -> dict:
    """A task on each node."""
    return {**{key: value for key, value in JOB.items() if key != "count"}, "kind": "system", **more}


def addresses_on(lab: LabNodes, network: str, job: str) -> dict[str, str]:
    """Of its tasks on a network, by task."""
    shown = lab.ask(1, "GET", f"/networks/{network}")["tasks"]
    return {each["task"]: each["address"] for each in shown if each["task"].startswith(f"{job}/")}


def started_again(lab: LabNodes, former: Container) -> Container | None:
    try:
        found = next(each for each in containers(lab, former.task.partition("/")[0]) if each.task == former.task)
    except ValueError:
        return None  # it does not run
    return found if found.pid not in (0, former.pid) else None


def answers(askers: list[Container], addresses: Iterable[str]) -> list[str]:
    """Who answers whom, of all pairs: at the same time, because silence takes seconds."""
    pairs = list(itertools.product(askers, addresses))
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda pair: pair[0].get(pair[1]), pairs))
    return [f"{one.task} -> {two}: {answer}" for (one, two), answer in zip(pairs, found, strict=True) if answer]


def unreached(found: list[Container]) -> list[str]:
    pairs = itertools.product(found, found)
    return [f"{one.task} -> {two.task}" for one, two in pairs if one.get(two.address) != two.task]


def nothing_left(lab: LabNodes, host: int) -> bool:
    links = lab.run(host, "ip", "-o", "link")
    rules = lab.run(host, "nft", "list", "ruleset") + lab.run(host, "iptables-save")
    routes = lab.run(host, "ip", "route")
    return "orion" not in links and "orion" not in rules.lower() and "10.200." not in rules + routes


def test_containers_reach_each_other_by_their_own_addresses_whatever_happens_to_the_network(lab: LabNodes) -> None:
    switch_on(lab)
    wait_for_bridges(lab)
    found = deployed(lab, "web", JOB)
    assert sorted({each.host for each in found}) == list(HOSTS)
    assert all(each.address.startswith("10.200.") for each in found)
    assert len({each.address for each in found}) == len(found)
    lab.wait(lambda: not unreached(found), "all to reach all")

    addresses = {each.task: each.address for each in found}
    wait_to_know(lab, found[:3], "2.web.orion.internal", [addresses["web/2"]])
    wait_to_know(lab, found[:3], "web.orion.internal", addresses.values())
    for each in found[:3]:
        assert each.look_up("none.orion.internal") == set()

    lab.stop_node(2)
    lab.wait(lambda: not unreached(found), "all to reach all while the program of a node is away")
    lab.start_again(2)
    lab.wait(lambda: lab.ask(2, "GET", "/raft")["leader"], "node2 again")

    for words in (
        ("ip", "link", "delete", "orion.vx"),
        ("nft", "flush", "ruleset"),
        ("ip", "route", "flush", "dev", "orion.vx"),
        ("iptables", "-F"),
        ("ip", "link", "set", "orion.vx", "address", "02:00:00:00:00:01"),
    ):
        lab.run(2, *words)
        lab.wait(lambda: not unreached(found), f"all to reach all after {' '.join(words)}")

    lab.ask(1, "DELETE", "/jobs/web")
    lab.wait(lambda: lab.ask(1, "GET", "/tasks") == [], "the job to be gone")
    switch_on(lab, "off")
    for host in HOSTS:
        lab.wait(lambda host=host: nothing_left(lab, host), f"nothing to be left on host {host}", deadline_s=300)


def test_networks_do_not_reach_each_other_and_a_task_on_two_reaches_both(lab: LabNodes) -> None:
    before = {host: network_of_host(lab, host) for host in HOSTS}
    switch_on(lab)
    wait_for_bridges(lab)
    lab.ask(1, "POST", "/networks", {"name": "front"})
    lab.ask(2, "POST", "/networks", {"name": "back", "internal": True})
    plain = deployed(lab, "plain", system_job())
    web = deployed(lab, "web", system_job(networks=["front"]))
    db = deployed(lab, "db", system_job(networks=["back"]))
    app = deployed(lab, "app", system_job(networks=["front", "back"]))
    assert [len(each) for each in (plain, web, db, app)] == [len(HOSTS)] * 4
    alone = {"default": plain, "front": web, "back": db}
    for network, mine in alone.items():
        lab.wait(lambda mine=mine: not unreached(mine), f"all on {network} to reach all")

    # Not from any network into another: on one host, across, and both ways.
    for network, mine in alone.items():
        others = [each.address for other, theirs in alone.items() if other != network for each in theirs]
        assert answers(mine, others) == []
    in_front, in_back = addresses_on(lab, "front", "app"), addresses_on(lab, "back", "app")
    assert answers(plain, [*in_front.values(), *in_back.values()]) == []
    assert answers(web, in_back.values()) == answers(db, in_front.values()) == []

    # On two networks: to both, and from both at the address there.
    lab.wait(lambda: len(answers(app, [each.address for each in web + db])) == 18, "app to reach both networks")
    lab.wait(lambda: len(answers(web, in_front.values())) == 9, "web to reach app")
    lab.wait(lambda: len(answers(db, in_back.values())) == 9, "db to reach app")

    # By names it is the same.
    wait_to_know(lab, plain, "plain.orion.internal", [each.address for each in plain])
    wait_to_know(lab, web, "app.orion.internal", in_front.values())
    wait_to_know(lab, db, "app.orion.internal", in_back.values())
    wait_to_know(lab, app, "web.orion.internal", [each.address for each in web])
    wait_to_know(lab, app, "db.orion.internal", [each.address for each in db])
    for one in plain:
        assert one.look_up("web.orion.internal") == one.look_up("db.orion.internal") == set()
        assert one.look_up("app.orion.internal") == set()
    for one in web:
        assert one.look_up("db.orion.internal") == one.look_up("plain.orion.internal") == set()

    # Out to other hosts, but for those that are on the internal network alone.
    elsewhere = {host: f"{lab.address(host % len(HOSTS) + 1)}/healthz" for host in HOSTS}
    for each in (*plain, *web, *app):
        lab.wait(lambda each=each: each.get(elsewhere[each.host]), f"{each.task} to reach another host")
    assert not any(each.get(elsewhere[each.host]) for each in db)

    # A container that is started again has its routes again. A node's program that is away harms nobody.
    first, far = app[0], [each.address for each in (*web, *db) if each.host != app[0].host]
    subprocess.run(["kill", "-9", str(first.pid)], check=True, timeout=30)
    again = lab.wait(lambda: started_again(lab, first), "the container to run again")
    lab.wait(lambda: len(answers([again], far)) == 4, "it to reach other nodes on both")
    lab.stop_node(3)
    lab.start_again(3)
    lab.wait(lambda: lab.ask(3, "GET", "/raft")["leader"], "node3 again")
    lab.run(2, "nft", "delete", "table", "ip", "orion")
    lab.wait(lambda: "inwards" in lab.run(2, "nft", "list", "ruleset"), "the rules of host 2 again")
    for network, mine in alone.items():
        others = [each.address for other, theirs in alone.items() if other != network for each in theirs]
        assert answers(mine, others) == []
        lab.wait(lambda mine=mine: not unreached(mine), f"all on {network} to reach all again")

    with pytest.raises(OSError, match="named by web, app"):
        lab.ask(1, "DELETE", "/networks/front")
    for job in ("web", "db", "app"):
        lab.ask(1, "DELETE", f"/jobs/{job}")
    lab.wait(lambda: len(lab.ask(1, "GET", "/tasks")) == len(plain), "the jobs to be gone")
    for network in ("front", "back"):
        lab.ask(1, "DELETE", f"/networks/{network}")
    for host in HOSTS:
        lab.wait(
            lambda host=host: re.findall(r"orion[0-9]+[.:]", lab.run(host, "ip", "-o", "link")) == ["orion0:"],
            f"the networks to be gone from host {host}",
        )
    lab.wait(lambda: not unreached(plain), "the rest to reach all")
    lab.ask(1, "DELETE", "/jobs/plain")
    lab.wait(lambda: lab.ask(1, "GET", "/tasks") == [], "the job to be gone")
    switch_on(lab, "off")
    for host in HOSTS:
        lab.wait(lambda host=host: nothing_left(lab, host), f"nothing to be left on host {host}", deadline_s=300)
        assert network_of_host(lab, host) == before[host]
