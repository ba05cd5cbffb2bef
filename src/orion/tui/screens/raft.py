"""Consensus as the node that is asked sees it, once a second."""

from orion.tui.cluster import Cluster
from orion.tui.lines import Line
from orion.tui.screens.polled import Polled
from orion.tui.texts.raft_lines import raft_lines


class Raft(Polled):
    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "raft")

    async def ask(self) -> list[Line]:
        return list(raft_lines(await self.cluster.ask(lambda client: client.raft())))
