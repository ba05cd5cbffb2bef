"""The durable log in LMDB. docs/design/log.md has the reasons."""

from orion.adapters.lmdb_log.store import FIRST_MAP_BYTES, LmdbLog

__all__ = ["FIRST_MAP_BYTES", "LmdbLog"]
