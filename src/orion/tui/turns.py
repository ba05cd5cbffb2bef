"""Turns worth a sentence as they happen: a node that dies or is back, who leads, which node is asked. Pure."""

from orion.model.api.nodes import NodeView
from orion.model.api.watch import Noun
from orion.tui.source import Source


class Turns:
    """Remembers how the nodes stood at the look before."""

    def __init__(self, cluster: Source) -> None:
        self._cluster = cluster
        self._moves = 0
        self._leader = ""
        self._gone: set[str] = set()
        self._looked = False

    def look(self) -> str:
        """Returns what has happened since the look before, in a sentence; "" for nothing."""
        cluster, store = self._cluster, self._cluster.store
        if not store.index:
            return ""
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
        return "; ".join(said)
