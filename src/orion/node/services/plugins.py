"""Storage plugins of all nodes, each as its node finds it now."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from orion.model.api.plugins import PluginPartView, PluginView
from orion.model.errors import NotFound, shown
from orion.model.ids import NodeId
from orion.node.membership.directory import Directory
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, Place
from orion.node.services.one_node import answer_or_why
from orion.node.volumes.one_plugin import PluginState
from orion.node.volumes.plugins import Plugins as NodePlugins
from orion.ports.peers import Principal

ASK_S = 3.0
LOOK_S = 2.0  # a node waits for its plugins
ASKED_AT_ONCE = 32
MAX_PLACES = 3  # in an error


class NodePart(msgspec.Struct, frozen=True, array_like=True):
    """One socket of a node. `controller`, `node`: what that part can; None where it is not there."""

    socket: str
    name: str = ""
    version: str = ""
    controller: tuple[str, ...] | None = None
    node: tuple[str, ...] | None = None
    known_as: str = ""
    max_volumes: int = 0
    topology: dict[str, str] = {}
    why: str = ""


class NodeParts(msgspec.Struct, frozen=True, array_like=True):
    parts: tuple[NodePart, ...] = ()


class AskPlugins(CallRequest[NodeParts], frozen=True, tag=80):
    """The storage plugins of this node."""

    at: ClassVar = Place.NODE


class Plugins:
    """Fulfils service.PluginService."""

    def __init__(self, *, directory: Directory, forward: Forward, registry: Registry, plugins: NodePlugins) -> None:
        self._directory = directory
        self._forward = forward
        self._plugins = plugins
        registry.answer_call(AskPlugins, self._answer)

    async def _answer(self, _request: AskPlugins, _: Principal) -> NodeParts:
        return NodeParts(tuple(map(_part, await self._plugins.seen_now(LOOK_S))))

    async def find(self) -> list[PluginView]:
        """All of the nodes that are alive, by name."""
        seen = (each.member.node for each in self._directory.all_seen())
        nodes = sorted(node for node in seen if self._directory.is_alive(node))
        turns = asyncio.Semaphore(ASKED_AT_ONCE)
        answers = await asyncio.gather(*(self._ask(node, turns) for node in nodes))
        return views(list(zip(nodes, answers, strict=True)))

    async def get(self, name: str) -> PluginView:
        """Raises NotFound."""
        found = await self.find()
        for each in found:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in found if each.name)
        words = f"; there are: {known}" if known else ""
        words = f"{words}; {silent}" if (silent := not_working(found, name)) else words
        words = words or ": give nodes its socket with --csi-socket"
        raise NotFound(f"no node has a storage plugin {shown(name)}{words}")

    async def _ask(self, node: NodeId, turns: asyncio.Semaphore) -> NodeParts | str:
        async with turns:
            return await answer_or_why(self._forward, node, AskPlugins(), ASK_S)


def not_working(found: Sequence[PluginView], name: str) -> str:
    """Says where a plugin that is nowhere as it should be is, or may be: at sockets at which it does not work, else
    at those where nobody has said yet who is there. "" where there are none.
    """
    named = [part for each in found if each.name == name for part in each.parts if not part.healthy]
    parts = named or [part for each in found if not each.name for part in each.parts]
    if not parts:
        return ""
    places = "; ".join(f"{each.node_id} at {each.socket}: {each.why}" for each in parts[:MAX_PLACES])
    more = f", and {len(parts) - MAX_PLACES} more ('orion plugin ls')" if len(parts) > MAX_PLACES else ""
    what = "it does not work where it is" if named else "no plugin has answered yet where it may be"
    return f"{what} ({places}{more}): start it there"


def views(answers: Sequence[tuple[NodeId, NodeParts | str]]) -> list[PluginView]:
    parts: dict[str, list[PluginPartView]] = defaultdict(list)
    unasked = []
    for node, answer in answers:
        if isinstance(answer, str):
            unasked.append(answer)
            continue
        for each in answer.parts:
            parts[each.name].append(_view(node, each))
    return [
        PluginView(name, all(each.healthy for each in some), some, unasked) for name, some in sorted(parts.items())
    ]


def _part(state: PluginState) -> NodePart:
    info, node = state.info, state.node_info
    return NodePart(
        state.socket,
        info.name if info is not None else "",
        info.version if info is not None else "",
        None if state.controller is None else tuple(sorted(each.value for each in state.controller)),
        None if state.node is None else tuple(sorted(each.value for each in state.node)),
        node.node_id if node is not None else "",
        node.max_volumes if node is not None else 0,
        dict(node.topology) if node is not None else {},
        state.why,
    )


def _view(node: NodeId, part: NodePart) -> PluginPartView:
    return PluginPartView(
        node_id=node,
        socket=part.socket,
        healthy=not part.why,
        why=part.why,
        version=part.version,
        controller=None if part.controller is None else list(part.controller),
        node=None if part.node is None else list(part.node),
        known_as=part.known_as,
        max_volumes=part.max_volumes,
        topology=part.topology,
    )
