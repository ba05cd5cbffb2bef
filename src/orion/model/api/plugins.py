"""Storage plugins as the API shows them."""

from typing import Annotated

import msgspec
from msgspec import Meta


class PluginPartView(msgspec.Struct, frozen=True, rename="camel"):
    """A plugin as one node finds it at one socket."""

    node_id: str
    socket: str
    healthy: bool
    why: Annotated[str, Meta(description="Why it does not work; empty when it does.")]
    version: str
    controller: Annotated[list[str] | None, Meta(description="What its controller can; null: it has none here.")]
    node: Annotated[list[str] | None, Meta(description="What its node part can; null: it has none here.")]
    known_as: Annotated[str, Meta(description="The plugin's own name for this node.")]
    max_volumes: Annotated[int, Meta(description="On this node; 0: it sets no limit.")]
    topology: dict[str, str]


class PluginView(msgspec.Struct, frozen=True, rename="camel"):
    name: Annotated[str, Meta(description="Empty: none of these sockets has said who is there.")]
    healthy: Annotated[bool, Meta(description="All of its parts work.")]
    parts: list[PluginPartView]
    unasked: Annotated[list[str], Meta(description="Of nodes that gave no answer: why, in words.")] = []
