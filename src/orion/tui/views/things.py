"""Volumes, networks and configs as tables."""

from orion.model.api.configs import ConfigView
from orion.model.api.network import NetworkSummaryView
from orion.model.api.volumes import VolumeView
from orion.model.api.watch import Noun
from orion.model.printable import one_line
from orion.model.resources import column_text, size_text
from orion.tui.columns import Column, Tone, View, aged, natural, number, plain

_BUSY = ("moving", "making", "growing", "removing")


def _why(row: VolumeView) -> str:
    """Returns what a volume waits for, or why it is not as asked."""
    if row.move is not None:
        done = f"{size_text(row.move.copied_bytes)} of {size_text(row.move.total_bytes)}"
        return one_line(row.move.reason) or f"on its way to {row.move.to}: {done}"
    if row.storage is None:
        return ""
    whys = (row.storage.why, *(each.why for each in row.storage.claims))
    return one_line(next(filter(None, whys), ""))


def _capacity(row: VolumeView) -> int:
    """Returns how much a storage system gives. A directory of a node has no such bound, and its nodes alone measure
    what it holds, for whoever asks.
    """
    return (row.storage.has_bytes or row.storage.size_bytes) if row.storage is not None else 0


def _volume_tone(row: VolumeView) -> Tone:
    if _volume_fault(row):
        return Tone.BAD
    return Tone.BUSY if row.state in _BUSY else Tone.PLAIN if row.used_by or row.in_use else Tone.DIM


def _volume_fault(row: VolumeView) -> bool:
    return row.move is None and bool(_why(row))


def _used_by(row: VolumeView) -> str:
    return ", ".join(row.used_by)


VOLUMES = View(
    "volumes",
    "volume",
    Noun.VOLUMES,
    (
        plain("NAME", "name", "N", least=16),
        plain("STATE", "state", "S"),
        plain("DRIVER", "driver", "D", spare=2),
        plain("NODE", "node_id", "O", least=8),
        Column("IN USE", lambda row, _: "yes" if row.in_use else "no", lambda row: row.in_use, "I"),
        Column(
            "CAPACITY",
            lambda row, _: column_text(_capacity(row)) if _capacity(row) else "",
            _capacity,
            "Z",
            down=True,
            right=True,
            spare=3,
        ),
        number("SLOT", "slot", wide=True),
        Column("USED BY", lambda row, _: _used_by(row), lambda row: natural(_used_by(row)), "U", least=10, spare=1),
        Column(
            "ACCESS",
            lambda row, _: row.storage.access if row.storage else "",
            lambda row: row.storage.access if row.storage else "",
            wide=True,
        ),
        aged("USED", "used_at", wide=True),
        aged("AGE", "created_at", "A"),
        Column("REASON", lambda row, _: _why(row), lambda row: natural(_why(row)), least=24),
    ),
    words=lambda row: (row.name, row.state, row.driver, row.node_id or "", _used_by(row), _why(row)),
    labels=lambda row: {
        "name": row.name,
        "state": row.state,
        "driver": row.driver,
        "node": row.node_id or "",
        **row.labels,
    },
    tone=_volume_tone,
    fault=_volume_fault,
    by="NAME",
)


def _network_kind(row: NetworkSummaryView) -> str:
    return "internal" if row.internal else "open"


NETWORKS = View(
    "networks",
    "network",
    Noun.NETWORKS,
    (
        plain("NAME", "name", "N", least=16),
        Column("KIND", lambda row, _: _network_kind(row), _network_kind, "K"),
        number("NODES", "nodes", "O"),
        number("ADDRESSES", "addresses", "D"),
        aged("AGE", "created_at", "A"),
    ),
    words=lambda row: (row.name, _network_kind(row)),
    labels=lambda row: {"name": row.name, "internal": "true" if row.internal else "false"},
    tone=lambda row: Tone.PLAIN if row.addresses else Tone.DIM,
    fault=lambda _: False,
    by="NAME",
)


def _config_kind(row: ConfigView) -> str:
    return "folder" if row.folder else "value"


CONFIGS = View(
    "configs",
    "config",
    Noun.CONFIGS,
    (
        plain("KEY", "key", "N", least=20),
        Column("KIND", lambda row, _: _config_kind(row), _config_kind, "K"),
        Column("SIZE", lambda row, _: column_text(row.size), lambda row: row.size, "Z", down=True, right=True),
        number("VERSION", "version", "V"),
        aged("CHANGED", "changed_at", "C"),
        aged("AGE", "created_at", "A"),
    ),
    words=lambda row: (row.key, _config_kind(row)),
    labels=lambda row: {"key": row.key, "kind": _config_kind(row)},
    tone=lambda _: Tone.PLAIN,
    fault=lambda _: False,
    by="KEY",
)
