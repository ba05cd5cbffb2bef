"""Containers of a job on hosts of their own (support/lab_nodes.py), and programs that run as they would in one."""

import json
import subprocess
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from support import api
from support.deployments import done
from support.lab_nodes import LabNodes


class Container:
    """A running one of a job."""

    def __init__(self, task: dict[str, Any], engine: str) -> None:
        self.task = task["id"]
        self.host = int(task["nodeId"].removeprefix("node"))
        self.address = task["address"]
        chosen = quote(json.dumps({"label": [f"dev.orion.task={self.task}"], "status": ["running"]}))
        (shown,) = api.ask_json(engine, "GET", f"/containers/json?filters={chosen}")
        self.pid: int = api.ask_json(engine, "GET", f"/containers/{shown['Id']}/json")["State"]["Pid"]

    @property
    def namespace(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def enter(self) -> list[str]:
        """The words that run a program of this machine on the container's network."""
        return ["nsenter", f"--net={self.namespace}"]

    def get(self, address: str) -> str:
        """What answers there, "" when nobody does."""
        done = subprocess.run(
            [*self.enter(), "curl", "-s", "--max-time", "2", f"http://{address}/"],
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def look_up(self, name: str) -> set[str]:
        """The addresses, as a program in it finds them: with its resolv.conf."""
        words = [*self.enter(), f"--mount=/proc/{self.pid}/ns/mnt", "nslookup", name]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
        _, _, answer = done.stdout.partition("\n\n")
        return {line.split()[-1] for line in answer.splitlines() if line.startswith("Address")}


def wait_to_know(lab: LabNodes, askers: Iterable[Container], name: str, addresses: Iterable[str]) -> None:
    """All find just these addresses. Tasks of a node of which gossip is in doubt are left out for a moment."""
    wanted = set(addresses)
    for each in askers:
        lab.wait(lambda each=each: each.look_up(name) == wanted, f"{each.task} to know {name} as {wanted}")


def switch_on(lab: LabNodes, value: str = "10.200.0.0/16") -> None:
    lab.ask(1, "PUT", "/configs/orion%2Fnetwork", value.encode())


def wait_for_bridges(lab: LabNodes) -> None:
    """All nodes take part in the network."""
    for host in range(1, len(lab.engines) + 1):
        lab.wait(lambda host=host: "orion0" in lab.run(host, "ip", "-o", "link"), f"the bridge of host {host}")


def containers(lab: LabNodes, job: str) -> list[Container]:
    """Raises ValueError while one of its tasks is yet to be placed, or has no container that runs."""
    tasks = [task for task in lab.ask(1, "GET", "/tasks") if task["id"].startswith(f"{job}/")]
    if homeless := [task["id"] for task in tasks if task["nodeId"] is None]:
        raise ValueError(f"{homeless} are on no node")
    return [Container(task, lab.engines[int(task["nodeId"].removeprefix("node")) - 1]) for task in tasks]


def deployed(lab: LabNodes, job: str, body: dict[str, Any]) -> list[Container]:
    done(lab, lab.ask(1, "PUT", f"/jobs/{job}", body))
    return containers(lab, job)
