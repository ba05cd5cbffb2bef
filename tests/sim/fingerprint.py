"""A digest of a state that costs what has changed since the last one.

Rows are frozen: one that is the same object as before has the same bytes. So each is encoded once, by the state's
own frames and at its level, and two states have one fingerprint just when they would have one snapshot.
"""

import hashlib
from collections.abc import Callable
from operator import is_
from typing import Any, NamedTuple

import msgspec

from orion.state.core.table import Table
from sim.builds import Build

DIGEST_BYTES = 16


class _Seen(NamedTuple):
    """A table as it was, and the bytes of each row."""

    keys: list[Any]
    rows: list[Any]
    encoded: list[bytes]
    digest: bytes


_NOTHING = _Seen([], [], [], b"")  # of which nothing is known


class Fingerprint:
    """Of one state, which a node of that build holds."""

    def __init__(self, build: Build, state: Any) -> None:
        self.state = state
        self._encode: Callable[[object, int], bytes] = build.module("orion.state.core.frames")._encoder.encode
        self._rollout_row = build.module("orion.state.tables.job_rows")._row
        self._frames_of_jobs = build.module("orion.state.tables.job_rows")._frames
        self._level = 0
        self._seen: dict[str, _Seen] = {}

    def take(self) -> bytes:
        state = self.state
        if state.level != self._level:  # at which everything is written
            self._level = state.level
            self._seen.clear()
        fields = [state.index, state.cluster, state.recovery, state.level]
        parts = []
        for table in state.tables.values():
            fields.extend(table.header().values())
            parts.append(self._table(table))
        return _digest([msgspec.msgpack.encode(fields), *parts])

    def _table(self, table: Table) -> bytes:
        """By how it is captured, and by name: where two builds are in one cluster, the classes are of either."""
        match type(table).capture.__qualname__:
            case "KeyedTable.capture":
                keys, frame = list(table.ordered()), table.rows_frame  # type: ignore[attr-defined]
                rows = [table.rows[key] for key in keys]  # type: ignore[attr-defined]
                return self._rows(table, keys, rows, lambda _, row: frame([row]))
            case "DedupTable.capture":
                answers, frame = table.answers, table.rows_frame  # type: ignore[attr-defined]
                return self._rows(
                    table, list(answers), list(answers.values()), lambda mark, answer: frame([(mark, answer)])
                )
            case "Nodes.capture":
                nodes, (frame, removed) = self.state.nodes, table.frames
                held = self._rows(table, list(nodes), list(nodes.values()), lambda _, node: frame([node]))
                return held + self._encode(removed(list(self.state.removed)), self._level)
            case "Jobs.capture":
                return self._jobs()
        return _digest([self._encode(frame, self._level) for frame in table.capture()])

    def _rows(self, table: Table, keys: list[Any], rows: list[Any], frame: Callable[[Any, Any], object]) -> bytes:
        name = type(table).__name__
        seen = self._seen.get(name, _NOTHING)
        if seen.digest and len(rows) == len(seen.rows) and keys == seen.keys and all(map(is_, rows, seen.rows)):
            return seen.digest
        known = dict(zip(seen.keys, zip(seen.rows, seen.encoded, strict=True), strict=True))
        encoded = []
        for key, row in zip(keys, rows, strict=True):
            before = known.get(key)
            if before is not None and before[0] is row:
                encoded.append(before[1])
            else:
                encoded.append(self._encode(frame(key, row), self._level))
        self._seen[name] = _Seen(keys, rows, encoded, _digest(encoded))
        return self._seen[name].digest

    def _jobs(self) -> bytes:
        """A job's row is its record, which changes in place: so it is what is in it."""
        records = self.state.jobs
        seen = self._seen.get("Jobs", _NOTHING)
        known = dict(zip(seen.keys, zip(seen.rows, seen.encoded, strict=True), strict=True))
        rows, encoded = [], []
        for name, record in records.items():
            row = [record.job, record.refusal, record.successor, *record.slots]
            before = known.get(name)
            same = before is not None and len(row) == len(before[0]) and all(map(is_, row, before[0]))
            if same and record.rollout is None:
                rows.append(before[0])
                encoded.append(before[1])
            else:
                # A rollout changes in place too. Its job is looked at anew each time.
                rows.append(row if record.rollout is None else ())
                encoded.append(self._encode_job(record))
        self._seen["Jobs"] = _Seen(list(records), rows, encoded, b"")
        return _digest(encoded)

    def _encode_job(self, record: Any) -> bytes:
        successors = [record.successor] if record.successor else []
        captured = (record.job, record.refusal, self._rollout_row(record), record.slots)
        return b"".join(self._encode(frame, self._level) for frame in self._frames_of_jobs([captured], successors))


def _digest(parts: list[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=DIGEST_BYTES).digest()
