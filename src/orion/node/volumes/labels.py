"""The plugins of a node as the cluster knows them: in its registration, and as labels for constraints."""

from collections.abc import Iterable

from msgspec.structs import replace

from orion.model.labels import Pairs, label_error
from orion.model.storage import MAX_VERSION, NodePlugin, plugins_fault
from orion.node.volumes.one_plugin import PluginState

PREFIX = "csi."


def plugin_labels(states: Iterable[PluginState]) -> Pairs:
    """Returns a label for each plugin that works: csi.NAME=node, controller or controller.node. A name that is no
    label's is left out.
    """
    parts: dict[str, set[str]] = {}
    for state in states:
        if not state.healthy or state.info is None:
            continue
        mine = parts.setdefault(f"{PREFIX}{state.info.name}", set())
        mine |= {"controller"} if state.controller is not None else set()
        mine |= {"node"} if state.node is not None else set()
    found = ((key, ".".join(sorted(each))) for key, each in sorted(parts.items()))
    return tuple((key, value) for key, value in found if label_error(key, value) is None)


def node_plugins(states: Iterable[PluginState]) -> tuple[NodePlugin, ...]:
    """Returns those that work, by name. One whose word of itself is too long is left out."""
    found: dict[str, NodePlugin] = {}
    for state in states:
        if not state.healthy or state.info is None:
            continue
        name = state.info.name
        known = found.get(name) or NodePlugin(name, state.info.version[:MAX_VERSION])
        known = replace(known, controller=known.controller or state.controller is not None)
        if state.node is not None and state.node_info is not None:
            info = state.node_info
            topology = tuple(sorted(info.topology.items()))
            known = replace(
                known, node=True, known_as=info.node_id, max_volumes=info.max_volumes, topology=topology
            )
        found[name] = known
    return tuple(each for _, each in sorted(found.items()) if not plugins_fault((each,)))
