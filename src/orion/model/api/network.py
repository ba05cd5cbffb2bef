"""The cluster's own network, as the API shows it."""

from typing import Annotated

import msgspec
from msgspec import Meta


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
