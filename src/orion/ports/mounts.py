"""The Mounts port: what the kernel has mounted, as far as it is below a directory of Orion's."""

from typing import Protocol

from orion.model.errors import OrionError


class MountFailed(OrionError):
    """The kernel refused a mount's end; `detail` says which and what to do. `busy`: it is in use."""

    title = "A mount could not be changed"
    code = "mount"

    def __init__(self, detail: str, *, busy: bool = False) -> None:
        super().__init__(detail)
        self.busy = busy


class Mounts(Protocol):
    async def points_below(self, directory: str) -> list[str]:
        """Returns where something is mounted below `directory`, and the files of block devices in it, which plugins
        make instead for block volumes.
        """

    async def unmount(self, point: str, *, lazy: bool = False) -> None:
        """Takes away all that is mounted at `point`, and a device's file. `lazy`: also while it is in use; who uses
        it keeps it. Raises MountFailed.
        """

    async def make_directory(self, path: str) -> None:
        """Makes it and what is above it, for this user alone. Raises MountFailed."""

    async def remove_directory(self, path: str) -> None:
        """Removes an empty directory, never what is in one. What is not there is removed."""

    def boot_id(self) -> str:
        """Returns another text after each start of the machine."""
