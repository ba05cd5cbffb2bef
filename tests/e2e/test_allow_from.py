"""Who may reach a job: three hosts with real engines, with bridged packets shown to rules and not."""

from collections.abc import Iterator

import pytest

from e2e.test_cluster_network import (
    HOSTS,
    Container,
    answers,
    containers,
    deployed,
    nothing_left,
    switch_on,
    system_job,
)
from support import images
from support.lab_containers import wait_to_know
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]

ALL = len(HOSTS) * len(HOSTS)


@pytest.fixture
def lab() -> Iterator[LabNodes]:
    with lab_hosts(len(HOSTS), images.busybox) as made:
        yield made


def count(askers: list[Container], asked: list[Container]) -> int:
    return len(answers(askers, [each.address for each in asked]))


def test_only_jobs_that_are_allowed_reach_a_job_and_know_its_name(lab: LabNodes) -> None:
    switch_on(lab)
    for host in HOSTS:
        lab.wait(lambda host=host: "orion0" in lab.run(host, "ip", "-o", "link"), f"the bridge of host {host}")
        shown = "1" if host == 1 else "0"
        lab.run(host, "sysctl", "-w", f"net.bridge.bridge-nf-call-iptables={shown}")
    web, other = deployed(lab, "web", system_job()), deployed(lab, "other", system_job())
    db = deployed(lab, "db", system_job(allowFrom=["web"]))
    addresses = {each.address for each in db}
    assert len(addresses) == len(HOSTS)
    lab.wait(lambda: count(web, db) == ALL, "the allowed job to reach it, on one host and across")
    lab.wait(lambda: count(db, db) == ALL, "its own tasks to reach each other")
    assert count(other, db) == 0
    lab.wait(lambda: count(db, other) == ALL, "answers to come back")

    # A job that does not allow the asker is not there.
    wait_to_know(lab, web + db, "db.orion.internal", addresses)
    wait_to_know(lab, other, "web.orion.internal", [each.address for each in web])
    for each in other:
        assert each.look_up("db.orion.internal") == set()

    # Others flush the rules.
    lab.run(2, "nft", "flush", "ruleset")
    lab.wait(lambda: "orion_allow" in lab.run(2, "nft", "list", "tables"), "the guard of host 2")
    lab.wait(lambda: count(web, db) == ALL, "the allowed job to reach it")
    assert count(other, db) == 0

    # The allowed job's tasks move: they have other addresses.
    lab.ask(1, "POST", "/jobs/web/restart")
    lab.wait(lambda: all_new(lab, web), "new tasks of the allowed job", deadline_s=300)
    web = containers(lab, "web")
    lab.wait(lambda: count(web, db) == ALL, "the new tasks to reach it")
    assert count(other, db) == 0

    # Another version allows another job.
    db = deployed(lab, "db", system_job(allowFrom=["other"]))
    lab.wait(lambda: count(other, db) == ALL, "the other job to reach it")
    assert count(web, db) == 0
    db = deployed(lab, "db", system_job())
    lab.wait(lambda: count(web + other, db) == 2 * ALL, "everybody to reach it")
    for host in HOSTS:
        gone = lambda host=host: "orion_allow" not in lab.run(host, "nft", "list", "tables")  # noqa: E731
        lab.wait(gone, f"no guard on host {host}")

    db = deployed(lab, "db", system_job(allowFrom=["web"]))
    for job in ("web", "other", "db"):
        lab.ask(1, "DELETE", f"/jobs/{job}")
    lab.wait(lambda: lab.ask(1, "GET", "/tasks") == [], "the jobs to be gone")
    switch_on(lab, "off")
    for host in HOSTS:
        lab.wait(lambda host=host: nothing_left(lab, host), f"nothing to be left on host {host}", deadline_s=300)


def all_new(lab: LabNodes, former: list[Container]) -> bool:
    try:
        found = containers(lab, "web")
    except ValueError:
        return False
    return {each.pid for each in found}.isdisjoint({0, *(each.pid for each in former)})
