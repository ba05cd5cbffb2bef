"""Nodes as a table."""

from collections.abc import Mapping

from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.watch import Noun
from orion.model.resources import amount_text
from orion.tui.columns import Column, Tone, View, natural, number, plain, reason

_TONES = {
    "alive": Tone.PLAIN,
    "suspect": Tone.BUSY,
    "draining": Tone.BUSY,
    "drained": Tone.DIM,
    "left": Tone.DIM,
    "unknown": Tone.BUSY,
    "dead": Tone.BAD,
}


def tone(row: NodeView) -> Tone:
    if row.status == "alive" and row.reason:
        return Tone.BAD  # its engine does not answer
    return _TONES.get(row.status, Tone.PLAIN)


def fault(row: NodeView) -> bool:
    return row.status in ("dead", "suspect", "unknown") or (row.status == "alive" and bool(row.reason))


def _cores(amounts: Amounts) -> str:
    return f"{amounts.given:g} of {amounts.total:g}"


def _percent(amounts: Amounts) -> str:
    share = _share(amounts)
    return "" if share < 0 else f"{share:.0f}%"


def _share(amounts: Amounts) -> float:
    """The part of the whole node that is used, in percent; -1: not known. A machine may have more than the node has
    for tasks: all of that is used then.
    """
    if amounts.used is None or not amounts.total:
        return -1.0
    return min(100.0, 100 * amounts.used / amounts.total)


def _labels_text(row: NodeView) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(row.labels.items()))


def _labels(row: NodeView) -> Mapping[str, str]:
    return {"name": row.name, "status": row.status, "role": row.role, "version": row.version, **row.labels}


NODES = View(
    "nodes",
    "node",
    Noun.NODES,
    (
        plain("NAME", "name", "N", least=12),
        plain("STATUS", "status", "S"),
        plain("ROLE", "role", "R", spare=3),
        number("TASKS", "tasks", "T"),
        Column(
            "CPU GIVEN",
            lambda row, _: _cores(row.cpu),
            lambda row: row.cpu.given,
            "C",
            down=True,
            right=True,
            spare=2,
        ),
        Column(
            "CPU USED", lambda row, _: _percent(row.cpu), lambda row: _share(row.cpu), "P", down=True, right=True
        ),
        Column(
            "MEM GIVEN",
            lambda row, _: amount_text(row.memory.given, row.memory.total, binary=True),
            lambda row: row.memory.given,
            "M",
            down=True,
            right=True,
            spare=2,
        ),
        Column(
            "MEM USED", lambda row, _: _percent(row.memory), lambda row: _share(row.memory), down=True, right=True
        ),
        Column(
            "DISK",
            lambda row, _: amount_text(row.disk.given, row.disk.total, binary=True),
            lambda row: row.disk.given,
            "D",
            down=True,
            right=True,
            wide=True,
        ),
        plain("IP", "ip", "I", spare=4),
        plain("API", "api_address", wide=True),
        plain("VERSION", "version", "V", wide=True),
        Column(
            "LABELS", lambda row, _: _labels_text(row), lambda row: natural(_labels_text(row)), wide=True, least=20
        ),
        reason(least=12)._replace(spare=3),
    ),
    words=lambda row: (row.name, row.status, row.role, row.ip, _labels_text(row), row.reason),
    labels=_labels,
    tone=tone,
    fault=fault,
    by="NAME",
)
