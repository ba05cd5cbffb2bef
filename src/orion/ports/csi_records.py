"""The CsiRecords port: what this node remembers of plugins' volumes, each in a file of its own in a folder of its
own. The volume's mounts are in the same folder.
"""

from typing import Protocol

from orion.model.csi_node import KnownVolume
from orion.model.errors import OrionError


class RecordsFailed(OrionError):
    """This node's disk refused a record; `detail` says what to do. Nothing may be done that it does not hold."""

    title = "A record of a volume could not be kept"
    code = "csi_records"


class CsiRecords(Protocol):
    """Each call raises RecordsFailed where the disk refuses it."""

    directory: str

    async def load(self) -> dict[str, KnownVolume | None]:
        """Returns what is remembered, by the names of the folders; None for a folder whose record is missing or
        damaged.
        """

    async def save(self, folder: str, known: KnownVolume) -> None:
        """Returns once it outlives a loss of power."""

    async def forget(self, folder: str) -> None:
        """Removes a record, and directories of Orion's that are empty. Anything else in the folder stays, and is
        then reported.
        """
