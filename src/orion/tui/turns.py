"""Turns worth a sentence as they happen: a node that dies or is back, who leads, which node is asked, how that ends
which was begun from here. Pure.
"""

from typing import NamedTuple

from orion.model.api.deployments import DeploymentView
from orion.model.api.nodes import NodeView
from orion.model.api.watch import Noun
from orion.model.deployment import DeploymentState
from orion.model.deployment_text import end_text
from orion.tui.source import Source


class Happened(NamedTuple):
    """`wrong`: something came to nothing."""

    words: str = ""
    wrong: bool = False


class Turns:
    """Remembers how the nodes stood at the look before."""

    def __init__(self, cluster: Source) -> None:
        self._cluster = cluster
        self._moves = 0
        self._leader = ""
        self._gone: set[str] = set()
        self._looked = False
        self._begun: dict[int, object] = {}  # deployments, with their rows at that time

    def begun(self, deployment: int) -> None:
        """A deployment was begun from here, or has gone on: its end is worth a sentence."""
        self._begun[deployment] = self._row(deployment)

    def look(self) -> Happened:
        """Returns what has happened since the look before; no words for nothing."""
        cluster, store = self._cluster, self._cluster.store
        if not store.index:
            return Happened()
        nodes = [row for row in store.tables[Noun.NODES].values() if isinstance(row, NodeView)]
        gone = {row.name for row in nodes if row.status == "dead"}
        said = [f"{name} is dead" for name in sorted(gone - self._gone)]
        said += [f"{row.name} is back" for row in nodes if row.name in self._gone - gone]
        if store.leader != self._leader:
            said.append(f"{store.leader} leads now" if store.leader else "nobody leads now")
        if not self._looked:
            said.clear()
        if cluster.moves != self._moves:
            said.append(f"another node is asked now: {cluster.address}")
        self._moves, self._leader, self._gone, self._looked = cluster.moves, store.leader, gone, True
        ended = self._ended()
        said += [f"{row.job}: {end_text(row.kind, row.to_version, row.state, row.reason)}" for row in ended]
        return Happened("; ".join(said), any(row.state != DeploymentState.DONE for row in ended))

    def _ended(self) -> list[DeploymentView]:
        """Returns those of the begun deployments that are over, once each."""
        rows = {each: self._row(each) for each in sorted(self._begun)}
        over = [row for each, row in rows.items() if row is not None and _is_over(row, self._begun[each])]
        for row in over:
            del self._begun[row.id]
        return over

    def _row(self, deployment: int) -> DeploymentView | None:
        row = self._cluster.store.tables[Noun.DEPLOYMENTS].get(str(deployment))
        return row if isinstance(row, DeploymentView) else None


def _is_over(row: DeploymentView, former: object) -> bool:
    """One that was paused goes on before its row says so."""
    if row.state == DeploymentState.PAUSED:
        return row is not former
    return row.state != DeploymentState.RUNNING
