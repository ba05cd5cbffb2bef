"""Former data directories of a node, moved away or left behind beside its present one."""

import fcntl
import itertools
import os
from pathlib import Path

import lmdb

from orion.adapters.lmdb_log import files
from orion.model.errors import Corrupt
from orion.model.ids import NodeId
from orion.ports.log import Identity
from orion.wire import records

MAX_SIBLINGS = 1_000


def former_directories(data_dir: Path, node: NodeId) -> list[tuple[Path, Identity]]:
    """Returns the directories beside `data_dir` that belong to `node` in a cluster and are not in use. Those that
    can't be read are left out. Blocks.
    """
    try:
        siblings = sorted(itertools.islice(data_dir.parent.iterdir(), MAX_SIBLINGS))
    except OSError:
        return []
    found = [(path, identity) for path in siblings if path != data_dir and (identity := _identity(path))]
    return [(path, identity) for path, identity in found if identity.node == node and identity.cluster]


def _identity(path: Path) -> Identity | None:
    if not (path / "log" / "data.mdb").is_file():
        return None
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return _read(path / "log")
    except (OSError, lmdb.Error, Corrupt):
        return None
    finally:
        os.close(descriptor)


def _read(directory: Path) -> Identity | None:
    if files.damage(directory):
        return None
    environment = lmdb.open(str(directory), max_dbs=1, readonly=True, lock=False)
    try:
        meta = environment.open_db(files.META, create=False)
        with environment.begin() as transaction:
            record = transaction.get(files.IDENTITY, db=meta)
        return None if record is None else records.decode_record(record, Identity, "the node's identity")
    finally:
        environment.close()
