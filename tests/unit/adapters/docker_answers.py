"""What a Docker Engine shows of a container of Orion's."""

from orion.adapters.docker.spec import (
    label_texts,
)
from orion.model.container import Labels
from orion.model.ids import NodeId

NODE = NodeId("node1")
LABELS = Labels(0xC0FFEE, NODE, "web", 3, 0xBEEF)


NEVER = "0001-01-01T00:00:00Z"


def shown(status="running", *, started="2026-11-24T15:21:29.123456789Z", finished=NEVER, **state):
    return {
        "Id": "abc",
        "Name": "/web-3-0000beef",
        "Config": {"Labels": label_texts(LABELS)},
        "State": {"Status": status, "ExitCode": 0, "Error": "", "OOMKilled": False}
        | {"StartedAt": started, "FinishedAt": finished}
        | state,
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "9/udp": [{"HostPort": "7"}], "8/tcp": None}
        },
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "a": {"IPAddress": ""}}},
    }


def listed(**changes):
    entry = {"Id": "abc", "Names": ["/other/alias", "/web-3-0000beef"], "Labels": label_texts(LABELS)}
    ports = [
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 5, "Type": "tcp"},
        {"IP": "0.0.0.0", "PrivatePort": 9, "PublicPort": 7, "Type": "udp"},
    ]
    networks = {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}
    return entry | {"State": "running", "Ports": ports, "NetworkSettings": networks} | changes
