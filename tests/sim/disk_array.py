"""A storage system that all machines reach by their plugins: which volumes it has, to which nodes they are
published, and what was written into them. It outlives everything.

A lenient one publishes a volume of one writer to a second node, as real ones do that leave it to who asks.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from orion.model.csi import (
    Access,
    AccessMode,
    Capacity,
    Confirmation,
    Context,
    Expansion,
    FailureKind,
    NewVolume,
    SizeRange,
    Snapshot,
    Topology,
    Volume,
    VolumeStatus,
)
from orion.ports.csi import CsiFailed

POOL = {"sim.csi.orion.dev/pool": "default"}
SIZE_BYTES = 1 << 30
MOST_BYTES = 1 << 50
READERS = (AccessMode.SINGLE_NODE_READER_ONLY, AccessMode.MULTI_NODE_READER_ONLY)

Rows = tuple[str, ...]


class Publication(msgspec.Struct, frozen=True):
    mode: AccessMode
    readonly: bool = False


class Stored(msgspec.Struct, frozen=True):
    """A volume or, with `of`, a snapshot of one. `source`: the snapshot or volume that it began with."""

    id: str
    name: str
    size_bytes: int
    source: tuple[str, str] = ("", "")
    of: str = ""
    created_ms: int = 0
    nodes: dict[str, Publication] = {}
    rows: Rows = ()


class DiskArray:
    """Each call is carried out at once and whole. `on_publish`, `on_unpublish` and `on_delete` are told of what is
    asked for, before it is done or refused.
    """

    def __init__(self, rng: random.Random, *, lenient: bool = False) -> None:
        self.volumes: dict[str, Stored] = {}
        self.snapshots: dict[str, Stored] = {}
        self.nodes: dict[str, int] = {}  # that its node part has run on -> the most volumes there, 0: no limit
        self.lenient = lenient
        self.on_publish: Callable[[Stored, str, Publication], None] = lambda *_: None
        self.on_unpublish: Callable[[Stored, str], None] = lambda *_: None
        self.on_delete: Callable[[Stored], None] = lambda _: None
        self._rng = rng
        self._held: set[str] = set()

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """One call about a volume at a time, whichever plugin makes it; others are told to come again."""
        self.hold(key)
        try:
            yield
        finally:
            self.let_go(key)

    def hold(self, key: str) -> None:
        if key in self._held:
            raise CsiFailed(f"another call about {key} is under way", FailureKind.PENDING)
        self._held.add(key)

    def let_go(self, key: str) -> None:
        self._held.discard(key)

    # --- volumes ------------------------------------------------------------------------------------------

    def create(self, new: NewVolume) -> Volume:
        _require(bool(new.name and new.access), "a name and how it is used are missing")
        for each in new.access:
            _require_usable(each)
        _require(not new.parameters, "no parameter is known")
        size = _size(new.size)
        if new.required and POOL not in new.required:
            raise CsiFailed("all volumes are in one pool", FailureKind.EXHAUSTED)
        source = (new.source.snapshot, new.source.volume) if new.source else ("", "")
        found = next((each for each in self.volumes.values() if each.name == new.name), None)
        if found is None:
            found = Stored(self._id(new.name), new.name, size, source, rows=self._rows_of(source, size))
            self.volumes[found.id] = found
        elif not _fits(found.size_bytes, new.size) or found.source != source:
            raise CsiFailed(f"volume {new.name} is there, and differs", FailureKind.CONFLICT)
        return self._shown(found, new)

    def delete(self, volume: str) -> None:
        found = self.volumes.get(volume)
        if found is None:
            return
        self.on_delete(found)
        if found.nodes:
            raise CsiFailed(f"volume {volume} is published to {sorted(found.nodes)}", FailureKind.IN_USE)
        del self.volumes[volume]

    def expand(self, volume: str, size: SizeRange) -> Expansion:
        found = self.found(volume)
        size_bytes = max(_size(size), found.size_bytes)
        if not _fits(size_bytes, size):
            raise CsiFailed("a volume never shrinks", FailureKind.OUT_OF_RANGE)
        self.volumes[volume] = replace(found, size_bytes=size_bytes)
        return Expansion(size_bytes, node_too=True)

    def validate(self, volume: str, access: Iterable[Access]) -> Confirmation:
        self.found(volume)
        try:
            for each in access:
                _require_usable(each)
        except CsiFailed as error:
            return Confirmation(confirmed=False, message=error.detail)
        return Confirmation(confirmed=True)

    def capacity(self, topology: Topology | None) -> Capacity:
        return Capacity(MOST_BYTES if topology in (None, {}, POOL) else 0)

    def status(self, volume: str) -> VolumeStatus:
        found = self.found(volume)
        return VolumeStatus(self._shown(found, None), tuple(sorted(found.nodes)))

    # --- nodes --------------------------------------------------------------------------------------------

    def publish(self, volume: str, node: str, wanted: Publication) -> Context:
        found = self.found(volume)
        self._require_place(node, found)
        mine = found.nodes.get(node)
        if mine is not None and mine != wanted:
            raise CsiFailed(f"node {node} has it in another way", FailureKind.CONFLICT)
        self.on_publish(found, node, wanted)
        others = [name for name, each in found.nodes.items() if name != node and excludes(wanted, each)]
        if others and not self.lenient:
            raise CsiFailed(f"volume {volume} is published to {others}", FailureKind.IN_USE)
        self.volumes[volume] = replace(found, nodes={**found.nodes, node: wanted})
        return {"node": node}

    def unpublish(self, volume: str, node: str) -> None:
        found = self.volumes.get(volume)
        if found is not None and node in found.nodes:
            self.on_unpublish(found, node)
            rest = {name: each for name, each in found.nodes.items() if name != node}
            self.volumes[volume] = replace(found, nodes=rest)

    def require_published(self, volume: str, node: str, *, readonly: bool) -> None:
        """Raises CsiFailed where the node may not have it so."""
        mine = self.found(volume).nodes.get(node)
        if mine is None or (mine.readonly and not readonly):
            raise CsiFailed(f"volume {volume} is not published to {node} so", FailureKind.IN_USE)

    # --- snapshots ----------------------------------------------------------------------------------------

    def snap(self, volume: str, name: str, now_ms: int) -> Snapshot:
        _require(bool(name), "a name is missing")
        found = next((each for each in self.snapshots.values() if each.name == name), None)
        if found is None:
            taken = self.found(volume)
            found = replace(taken, id=self._id(name), name=name, of=volume, created_ms=now_ms, nodes={})
            self.snapshots[found.id] = found
        elif found.of != volume:
            raise CsiFailed(f"snapshot {name} is of another volume", FailureKind.CONFLICT)
        return shown_snapshot(found)

    def drop_snapshot(self, snapshot: str) -> None:
        self.snapshots.pop(snapshot, None)

    # --- what is in them ----------------------------------------------------------------------------------

    def read(self, volume: str) -> Rows:
        return self.found(volume).rows

    def write(self, volume: str, rows: Rows) -> None:
        """Nobody is kept out: that is the business of who asks for publications."""
        self.volumes[volume] = replace(self.found(volume), rows=rows)

    # --- inside -------------------------------------------------------------------------------------------

    def found(self, volume: str) -> Stored:
        found = self.volumes.get(volume)
        if found is None:
            raise CsiFailed(f"there is no volume {volume}", FailureKind.NOT_FOUND)
        return found

    def _rows_of(self, source: tuple[str, str], size_bytes: int) -> Rows:
        snapshot, volume = source
        if not snapshot and not volume:
            return ()
        found = self.snapshots.get(snapshot) if snapshot else self.volumes.get(volume)
        if found is None:
            raise CsiFailed(f"there is no {snapshot or volume}", FailureKind.NOT_FOUND)
        if size_bytes < found.size_bytes:
            raise CsiFailed("its source is larger", FailureKind.OUT_OF_RANGE)
        return found.rows

    def _require_place(self, node: str, volume: Stored) -> None:
        if node not in self.nodes:
            raise CsiFailed(f"there is no node {node}", FailureKind.NOT_FOUND)
        most = self.nodes[node]
        if most and node not in volume.nodes and sum(node in v.nodes for v in self.volumes.values()) >= most:
            raise CsiFailed(f"node {node} has {most} volumes", FailureKind.EXHAUSTED)

    def _id(self, name: str) -> str:
        """A late call about a former one never meets a later one of its name."""
        return f"{name}-{self._rng.getrandbits(32):08x}"

    @staticmethod
    def _shown(found: Stored, new: NewVolume | None) -> Volume:
        return Volume(found.id, found.size_bytes, {}, new.source if new else None, (POOL,))


def excludes(one: Publication, other: Publication) -> bool:
    """Returns whether two nodes can't have a volume so at a time."""
    writes = not (one.readonly or other.readonly)
    single = AccessMode.MULTI_NODE_SINGLE_WRITER in (one.mode, other.mode)
    return one.mode.one_node or other.mode.one_node or (single and writes)


def shown_snapshot(found: Stored) -> Snapshot:
    return Snapshot(found.id, found.of, found.size_bytes, found.created_ms, ready=True)


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise CsiFailed(words, FailureKind.FINAL)


def _require_usable(access: Access) -> None:
    _require(not (access.block or access.fs_type or access.mount_flags or access.group), "it can't be used so")


def _size(size: SizeRange) -> int:
    required, limit = size.required_bytes, size.limit_bytes
    size_bytes = required or min(SIZE_BYTES, limit or SIZE_BYTES)
    if (limit and required > limit) or size_bytes > MOST_BYTES:
        raise CsiFailed("no volume has such a size", FailureKind.OUT_OF_RANGE)
    return size_bytes


def _fits(size_bytes: int, size: SizeRange) -> bool:
    return size_bytes >= size.required_bytes and (not size.limit_bytes or size_bytes <= size.limit_bytes)
