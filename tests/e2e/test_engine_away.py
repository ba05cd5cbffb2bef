"""The engine of a host is away, and a container dies meanwhile: real hosts with an engine each."""

import os
import signal

import pytest

from support import images
from support.lab_containers import deployed
from support.lab_nodes import LabNodes

pytestmark = [pytest.mark.engine, pytest.mark.root]

HOST = 2
JOB = {
    "image": images.BUSYBOX,
    "command": ["httpd", "-f"],
    "kind": "system",
    "stopGraceSeconds": 0,
    "healthCheck": {"tcp": {"port": 80}, "intervalSeconds": 0.5, "retries": 2, "startPeriodSeconds": 30},
    "update": {"monitorSeconds": 0.5},
}


def ready(lab: LabNodes, job: str) -> set[str]:
    """The nodes of its tasks that may be used."""
    return {each["nodeId"] for each in lab.ask(1, "GET", f"/jobs/{job}/endpoints")}


def test_what_dies_while_the_engine_is_away_is_ready_no_longer(lab: LabNodes) -> None:
    """Its check is asked over the network, and goes on; so does that of one which lives."""
    deployed(lab, "lives", JOB)
    dies = next(each for each in deployed(lab, "dies", JOB) if each.host == HOST)
    everywhere = {f"node{host}" for host in (1, 2, 3)}
    lab.wait(lambda: ready(lab, "dies") == everywhere, "it to be ready everywhere")
    lab.daemons[HOST - 1].kill_daemon()
    lab.wait(lambda: "Docker" in lab.ask(1, "GET", f"/nodes/node{HOST}")["reason"], "the engine to be missed")
    os.kill(dies.pid, signal.SIGKILL)
    lab.wait(lambda: ready(lab, "dies") == everywhere - {f"node{HOST}"}, "it to be ready there no longer")
    lab.wait(lambda: ready(lab, "lives") == everywhere, "the other job to be ready everywhere")
    lab.daemons[HOST - 1].start()
    for job in ("dies", "lives"):
        lab.wait(lambda job=job: ready(lab, job) == everywhere, f"{job} to be ready everywhere again")
