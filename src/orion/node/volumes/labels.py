"""Labels by which the cluster knows which plugins a node has."""

from collections.abc import Iterable

from orion.model.labels import Pairs, label_error
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
