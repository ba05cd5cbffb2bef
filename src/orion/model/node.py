"""A machine running orion, as the replicated state knows it."""

import enum
from typing import Annotated

import msgspec

from orion.model.errors import shown
from orion.model.hosts import is_host, port_number
from orion.model.ids import NodeId, RaftId
from orion.model.levels import since
from orion.model.resources import Resources
from orion.model.storage import NodePlugin


class NodeStatus(enum.StrEnum):
    READY = "ready"
    LEFT = "left"  # a planned stop: its work waits for it for `grace_ms`
    DOWN = "down"  # dead by gossip, or gone past its grace; its allocations are lost


class Node(msgspec.Struct, frozen=True, array_like=True):
    """A node as it registered, with the leader's decisions about it since.

    `number` is a small integer given at first registration, so that a plan for thousands of tasks names nodes in a
    byte or two. `engine` identifies the container engine: nodes with the same engine share its host ports, and a
    survivor stops a dead one's containers there. `apply` makes it from `engine_id`, which is the engine's own and
    shared by clones of a machine, and `engine_run` (model/container.py). `engine_down` is empty while the engine
    answers, else the reason. `refused_ports` are the last host ports that Orion chose and the machine refused, as
    `port << 1 | udp`: others are chosen in their place. `labels` are those that count: the node's own
    (`own_labels`) with the operator's changes (`label_changes`), as in model/labels.py.
    """

    id: NodeId
    raft_id: RaftId
    number: int
    peer_address: str  # host:port that other nodes dial
    api_address: str
    capacity: Resources
    labels: tuple[tuple[str, str], ...]  # sorted
    engine: str
    version: str
    status: NodeStatus = NodeStatus.READY
    draining: bool = False
    engine_down: str = ""
    registered_at_ms: int = 0
    changed_at_ms: int = 0  # when status last changed, leader's wall clock
    grace_ms: int = 0  # with status left: how long its work waits for it
    engine_id: str = ""
    engine_run: str = ""
    refused_ports: tuple[int, ...] = ()
    own_labels: tuple[tuple[str, str], ...] = ()  # sorted
    label_changes: tuple[tuple[str, str | None], ...] = ()  # sorted; None: taken away
    gossip_port: int = 0  # 0: not known
    level: int = 1  # the highest that it understands (model/levels.py)
    # Those that work there, by name.
    plugins: Annotated[tuple[NodePlugin, ...], since(2, words="storage plugins")] = ()

    def plugin(self, name: str) -> NodePlugin | None:
        return next((each for each in self.plugins if each.name == name), None)

    @property
    def schedulable(self) -> bool:
        return self.status is NodeStatus.READY and not self.draining and not self.engine_down


LOOPBACKS = ("127.0.0.1", "::1")
EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- compared, not bound


def hosts_meant(host: str) -> tuple[str, ...]:
    """Returns the hosts to dial or bind for a host: for localhost both loopback addresses, whichever of them the
    machine gives that name.
    """
    return LOOPBACKS if host.lower() == "localhost" else (host,)


def address_parts(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` -> (host, port). Raises ValueError with a sentence for a person."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not port_number(port) or not is_host(bare) or (":" in bare) != (bare != host):
        hint = ""
        if "://" in text:
            hint = ", without http://"
        elif "," in text:
            hint = ", one at a time"
        raise ValueError(f"{shown(text)} is not an address: write host:port with a port from 1 to 65535{hint}")
    return bare, port_number(port)


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
