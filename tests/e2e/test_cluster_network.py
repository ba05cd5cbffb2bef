"""The cluster's own network: nodes on hosts of their own, with real engines, where nothing is forwarded unasked."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from support import api, images
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


class Container:
    """A running one of a job."""

    def __init__(self, task: dict, engine: str) -> None:
        self.task = task["id"]
        self.host = int(task["nodeId"].removeprefix("node"))
        self.address = task["address"]
        chosen = quote(json.dumps({"label": [f"dev.orion.task={self.task}"], "status": ["running"]}))
        (shown,) = api.ask_json(engine, "GET", f"/containers/json?filters={chosen}")
        self.pid = api.ask_json(engine, "GET", f"/containers/{shown['Id']}/json")["State"]["Pid"]

    def get(self, address: str) -> str:
        """What answers there, "" when nobody does."""
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net"]
        done = subprocess.run(
            [*enter, "curl", "-s", "--max-time", "2", f"http://{address}/"],
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def look_up(self, name: str) -> set[str]:
        """The addresses, as a program in it finds them: with its resolv.conf."""
        enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt"]
        done = subprocess.run([*enter, "nslookup", name], check=False, capture_output=True, text=True, timeout=30)
        _, _, answer = done.stdout.partition("\n\n")
        return {line.split()[-1] for line in answer.splitlines() if line.startswith("Address")}


def switch_on(lab: LabNodes, value: str = "10.200.0.0/16") -> None:
    lab.ask(1, "PUT", "/configs/orion%2Fnetwork", value.encode())


def containers(lab: LabNodes, job: str) -> list[Container]:
    tasks = [task for task in lab.ask(1, "GET", "/tasks") if task["id"].startswith(f"{job}/")]
    return [Container(task, lab.engines[int(task["nodeId"].removeprefix("node")) - 1]) for task in tasks]


def deployed(lab: LabNodes, job: str, body: dict) -> list[Container]:
    view = lab.ask(1, "PUT", f"/jobs/{job}", body)
    path = f"/deployments/{view['deployment']['id']}"
    end = lab.wait(lambda: (d := lab.ask(1, "GET", path))["state"] != "running" and d, "its end", deadline_s=60)
    assert end["state"] == "done", end
    return containers(lab, job)


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
    for host in HOSTS:
        lab.wait(lambda host=host: "orion0" in lab.run(host, "ip", "-o", "link"), f"the bridge of host {host}")
    found = deployed(lab, "web", JOB)
    assert sorted({each.host for each in found}) == list(HOSTS)
    assert all(each.address.startswith("10.200.") for each in found)
    assert len({each.address for each in found}) == len(found)
    lab.wait(lambda: not unreached(found), "all to reach all")

    addresses = {each.task: each.address for each in found}
    for each in found[:3]:
        assert each.look_up("2.web.orion.internal") == {addresses["web/2"]}
        assert each.look_up("web.orion.internal") == set(addresses.values())
        assert each.look_up("none.orion.internal") == set()

    lab.stop_node(2)
    assert unreached(found) == [], "while the program of a node is away"
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
        lab.wait(lambda host=host: nothing_left(lab, host), f"nothing to be left on host {host}", deadline_s=60)
