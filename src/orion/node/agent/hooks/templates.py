"""A hook: templates in a task's texts, filled in when its container is made."""

import re
from collections.abc import Callable

from msgspec.structs import replace

from orion.model.errors import EngineError
from orion.model.ids import allocation_text
from orion.model.job import TaskSpec
from orion.model.node import Node
from orion.model.templates import LABEL, expanded
from orion.node.agent.hooks.hook import NotYet, Prepared, StartRequest

# What Linux and Docker take, whatever the values are made of.
_HOSTNAME = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?"


class TemplateExpansion:
    """`node`: this node as the cluster knows it, None while it does not yet."""

    name = "templates"

    def __init__(self, node: Callable[[], Node | None]) -> None:
        self._node = node

    async def prestart(self, start: StartRequest, prepared: Prepared) -> Prepared:
        options = prepared.spec.options
        if start.container or options is None or not options.templates:
            return prepared
        node = self._node()
        if node is None:
            raise NotYet("this node does not know its labels yet: the task starts once it does")
        return replace(prepared, spec=_filled(prepared.spec, start, node))


def _filled(spec: TaskSpec, start: StartRequest, node: Node) -> TaskSpec:
    labels = dict(node.labels)
    job, slot = start.allocation.job, start.allocation.index + 1
    known = {
        ".Node.Hostname": labels.get("hostname", node.id),
        ".Node.ID": node.id,
        ".Node.Platform.Architecture": labels.get("arch", ""),
        ".Node.Platform.OS": labels.get("os", ""),
        ".Task.ID": allocation_text(start.allocation.id),
        ".Task.Name": f"{job}.{slot}",
        ".Task.Slot": str(slot),
        ".Job.Name": job,
        ".Service.Name": job,
    }

    def value(name: str) -> str:
        if name in known:
            return known[name]
        key = name.removeprefix(LABEL)
        if key not in labels:  # another node may have it
            raise EngineError(f"{node.id} has no label {key}, which {{{{{name}}}}} of the task asks for")
        return labels[key]

    def fill(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((key, expanded(text, value)) for key, text in pairs)

    assert spec.options is not None
    hostname = expanded(spec.hostname, value)
    if hostname and not re.fullmatch(_HOSTNAME, hostname):
        raise EngineError(
            f"its host name is {hostname[:80]!r} on {node.id}, which is none: letters, digits, hyphens and dots, "
            "64 in all, are"
        )
    options = replace(spec.options, labels=fill(spec.options.labels))
    return replace(spec, hostname=hostname, env=fill(spec.env), options=options)
