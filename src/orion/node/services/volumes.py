"""Volumes as the API and the agent ask for them: reads at a voter, changes through the log."""

from orion.model.ids import NodeId
from orion.model.volumes import Volume
from orion.node.routing.submit import Submitter
from orion.node.rpc.reads import Read
from orion.node.services.rows import Rows
from orion.ports.clock import Clock
from orion.state.tables.volume_changes import SetVolumeData
from orion.state.tables.volumes import Volumes as Table

TELL_TIMEOUT_S = 5.0


class Volumes:
    """Fulfils service.VolumeService."""

    def __init__(self, *, me: NodeId, clock: Clock, submitter: Submitter, rows: Rows) -> None:
        self._me = me
        self._clock = clock
        self._submitter = submitter
        self._rows = rows

    async def read(self, name: str) -> Volume | None:
        """Linearizable: what the agent gives a task."""
        return (await self._rows.get(Table, name, Read()))[0]

    async def tell(self, volume: Volume, data: str) -> None:
        """Has the cluster know the name of the data that this node has made. Raises Refused where it is not so."""
        command = SetVolumeData(self._clock.wall_ms(), self._me, volume.name, volume.created_index, data)
        await self._submitter.submit(command, timeout_s=TELL_TIMEOUT_S)
