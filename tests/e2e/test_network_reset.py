"""`orion network reset` on a real host: what a node that was killed has left of its networks goes."""

import os
import subprocess
import sys

import pytest

from support import cleanup, images
from support.lab_containers import deployed
from support.lab_nodes import LabNodes

pytestmark = [pytest.mark.engine, pytest.mark.root]

JOB = {
    "image": images.BUSYBOX,
    "command": ["httpd", "-f"],
    "kind": "system",
    "stopGraceSeconds": 0,
    "networks": ["default", "backend"],
    "allowFrom": ["web"],
    "ingress": [{"port": 8080, "containerPort": 80}],
    "update": {"monitorSeconds": 0.5},
}
LOOKS = {
    "links": ["ip", "-o", "link"],
    "routes": ["ip", "route"],
    "nft": ["nft", "list", "ruleset"],
    "iptables": ["iptables-save"],
    "sysctls": ["sysctl", "-a", "--pattern", "forward|rp_filter|route_localnet|bridge-nf"],
}


def reset(lab: LabNodes, host: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "orion", "network", "reset", "--docker-host", lab.engines[host - 1]]
    return subprocess.run(
        [*lab.enter(host), *words], check=False, capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )


def traces(lab: LabNodes, host: int) -> dict[str, list[str]]:
    """Lines that name something of Orion's."""
    found = {what: lab.run(host, *words).lower().splitlines() for what, words in LOOKS.items()}
    docker = ["docker", "-H", lab.engines[host - 1], "network", "ls", "--format", "{{.Name}}"]
    found["docker"] = subprocess.check_output(docker, text=True).splitlines()
    ours = {what: [line for line in lines if "orion" in line or "10.200." in line] for what, lines in found.items()}
    return {what: lines for what, lines in ours.items() if lines}


def test_nothing_of_the_networks_is_left_on_a_host_without_its_node(lab: LabNodes) -> None:
    lab.ask(1, "POST", "/networks", {"name": "backend"})
    deployed(lab, "web", JOB)
    assert set(traces(lab, 2)) >= {"links", "routes", "nft", "docker"}
    refused = reset(lab, 2)
    assert refused.returncode == 1
    assert "node2 runs on this machine, and would bring its network back: stop it first" in refused.stderr
    lab.kill_node(2)
    kept = reset(lab, 2)
    assert kept.returncode == 1
    assert "containers" in kept.stderr, "they are named, and go on"
    assert traces(lab, 2)
    cleanup.remove_containers(lab.engines[1], lab.cluster)
    done = reset(lab, 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "rules of nftables and iptables"
    assert traces(lab, 2) == {}
    assert reset(lab, 2).returncode == 0, "there is nothing to do"
