"""The data of volumes as directories below the node's own. The rest of Orion sees `LocalVolumes` alone."""

from orion.adapters.volumes.local import LocalVolumes

__all__ = ["LocalVolumes"]
