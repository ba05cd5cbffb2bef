"""The screens that are no tables, by the words of the command bar. Each is loaded when it is asked for."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster
from orion.tui.screens import of_row

Opened = Screen[Any]
Make = Callable[[Cluster, Noun, str], Opened]  # of a row, by its key; "": of everything


def events(cluster: Cluster, noun: Noun, key: str) -> Opened:
    if key:
        return of_row.events(cluster, noun, key)
    from orion.tui.screens.events import Events

    return Events(cluster)


def xray(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.xray import Xray
    from orion.tui.texts.asking import job_of

    return Xray(cluster, job_of(cluster.store, noun, key) if key else "")


def packing(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.packing import Packing

    del noun, key
    return Packing(cluster)


def pulses(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.pulses import Pulses

    del noun, key
    return Pulses(cluster)


def raft(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.raft import Raft

    del noun, key
    return Raft(cluster)


SCREENS: dict[str, Make] = {
    **of_row.BY_WORD,
    "events": events,
    "xray": xray,
    "packing": packing,
    "pulses": pulses,
    "raft": raft,
}
# Those that are of the row at the cursor, or of those that are marked, where no name is given.
OF_A_ROW = frozenset(of_row.BY_WORD) - {"events", "use"}
