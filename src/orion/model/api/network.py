"""The cluster's networks, as the API shows them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema
from orion.model.api.network_fields import NETWORK_PATTERN


class NetworkNodeView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One node's part of the network."""

    node_id: str
    subnet: Annotated[str, Meta(description="For its containers, as in 10.200.1.0/24. Empty: it has none.")]
    addresses: Annotated[int, Meta(description="So many of it are given to tasks.")]
    up: Annotated[bool, Meta(description="Its containers can be reached by their addresses.")]
    reason: Annotated[str, Meta(description="Why it is not up, or not as it should be, for people.")] = ""


class NetworkView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The cluster's own network."""

    range: Annotated[str, Meta(description="Its addresses, as in 10.200.0.0/16. Empty: there is no network.")]
    nodes: Annotated[list[NetworkNodeView], Meta(description="All nodes of the cluster, by name.")]


class WayView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A node that does not reach another one, and the hop at fault, which may be the way back."""

    node_id: str
    peer_id: str
    cause: Annotated[
        str,
        Meta(
            description="kernel, udp-blocked, host-blocked, host-filter, overlay-filter, mtu, checksum,"
            " tcp-blocked, bridge, peer-silent, not-served, loss or unknown"
        ),
    ]
    sender: Annotated[str, Meta(description="The node whose packets are lost.")]
    receiver: Annotated[str, Meta(description="The node that they do not reach.")]
    reason: Annotated[str, Meta(description="What is wrong, and what to do, for people.")]


class NodeCheckView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One node's count of the others."""

    node_id: str
    peers: Annotated[int, Meta(description="Other nodes that it has asked.")]
    reached: Annotated[int, Meta(description="Of these, how many answered all probes.")]
    reason: Annotated[str, Meta(description="Why the node itself has not answered. Empty: it has.")] = ""


class NetworkCheckView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Which nodes reach which others by the cluster's own network."""

    range: Annotated[str, Meta(description="The network's addresses. Empty: there is no network.")]
    nodes: Annotated[list[NodeCheckView], Meta(description="All that have a part of the network, by name.")]
    failures: Annotated[list[WayView], Meta(description="Ways that fail, of each node to each; 2,000 at most.")]
    pairs: Annotated[int, Meta(description="Ways that were tried, each direction for itself.")]
    failed: Annotated[int, Meta(description="Of these, how many fail.")]
    median_us: Annotated[int, Meta(description="Of the round trips of small packets, microseconds.")]
    worst_us: Annotated[int, Meta(description="The longest of them.")]
    worst: Annotated[list[str], Meta(description="The two nodes of that.")]


class NetworkRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /networks`."""

    name: Annotated[str, schema(pattern=NETWORK_PATTERN)]
    internal: Annotated[bool, Meta(description="There is no way from it to elsewhere.")] = False


class NetworkSummaryView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A network that jobs can name."""

    name: str
    internal: Annotated[bool, Meta(description="There is no way from it to elsewhere.")]
    nodes: Annotated[int, Meta(description="So many have a part of it.")]
    addresses: Annotated[int, Meta(description="So many of it are given to tasks.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC. Null: it is the default network.")]


class NetworkSubnetView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A node's part of a network."""

    node_id: str
    subnet: Annotated[str, Meta(description="As in 10.200.1.0/24.")]
    addresses: Annotated[int, Meta(description="So many of it are given to tasks.")]


class NetworkTaskView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A task with an address on a network."""

    task: str
    node_id: str
    address: str
    ready: bool


class NetworkDetailView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A network, and who is on it."""

    name: str
    internal: Annotated[bool, Meta(description="There is no way from it to elsewhere.")]
    vni: Annotated[int, Meta(description="The number by which its packets are known between nodes (VXLAN).")]
    bridge: Annotated[str, Meta(description="On each node that has a part of it.")]
    device: Annotated[str, Meta(description="On each node that has a part of it.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC. Null: it is the default network.")]
    jobs: Annotated[list[str], Meta(description="Those that are on it, by name, the first 1,000.")]
    subnets: Annotated[list[NetworkSubnetView], Meta(description="By node.")]
    tasks: Annotated[list[NetworkTaskView], Meta(description="By node, the first 1,000.")]
