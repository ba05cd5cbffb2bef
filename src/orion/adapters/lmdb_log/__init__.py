"""The durable log in LMDB. docs/design/log.md says why it is as it is."""

from orion.adapters.lmdb_log.store import FIRST_MAP_BYTES, LmdbLog

__all__ = ["FIRST_MAP_BYTES", "LmdbLog"]
