"""Secrets that go with a plugin's calls about volumes and snapshots: in no other row, and shown to nobody."""

import msgspec

from orion.model.levels import since
from orion.model.secret_values import SecretPairs
from orion.model.volume_snapshots import SNAPSHOT, is_key
from orion.state.core.frames import Rows
from orion.state.core.indexes import SortedKeys
from orion.state.core.table import KeyedTable, TableSet


@since(2)
class VolumeSecret(msgspec.Struct, frozen=True, array_like=True):
    """The secrets of a volume, by its name, or of a snapshot, whose key begins with "snapshot/". `created_index` is
    that of its row.
    """

    key: str
    created_index: int
    secrets: SecretPairs


@since(2)
class VolumeSecretsFrame(Rows, frozen=True, array_like=True, tag=24):
    """By key."""

    rows: list[VolumeSecret]


class VolumeSecrets(KeyedTable[str, VolumeSecret]):
    """A row where there is a secret. Whoever makes and drops rows of volumes and snapshots does so with these."""

    rows_frame = VolumeSecretsFrame

    def __init__(self, state: TableSet) -> None:
        self._keys = SortedKeys()
        super().__init__(state, self._keys)

    @staticmethod
    def key(row: VolumeSecret) -> str:
        return row.key

    @staticmethod
    def size_bytes(row: VolumeSecret) -> int:
        return sum(len(text) for pair in row.secrets.pairs for text in pair)

    @staticmethod
    def can_be(row: VolumeSecret) -> bool:
        return is_key(row.key) and not row.secrets.fault() and bool(row.secrets.pairs)

    def ordered(self) -> list[str]:
        return self._keys.keys

    def of(self, key: str, created_index: int) -> SecretPairs:
        """None at all where it has none, or is another one of that name."""
        row = self.rows.get(key)
        return row.secrets if row is not None and row.created_index == created_index else SecretPairs()

    def set(self, key: str, created_index: int, secrets: SecretPairs) -> None:
        if secrets.pairs:
            self.put(VolumeSecret(key, created_index, SecretPairs(tuple(sorted(secrets.pairs)))))

    def forget(self, key: str) -> None:
        if key in self.rows:
            self.drop(key)


def snapshot_key(name: str) -> str:
    return f"{SNAPSHOT}{name}"


TABLES = (VolumeSecrets,)
COMMANDS = ()
