"""The ports to this machine that volumes of storage systems need, together."""

import msgspec

from orion.ports.csi import CsiPlugins
from orion.ports.csi_records import CsiRecords
from orion.ports.keeper import Keeper
from orion.ports.mounts import Mounts


class StoragePorts(msgspec.Struct, frozen=True):
    plugins: CsiPlugins
    mounts: Mounts
    records: CsiRecords
    keeper: Keeper
