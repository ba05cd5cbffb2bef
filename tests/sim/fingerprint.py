"""A fingerprint of a state that costs what has changed since the last one.

Rows are frozen: one that is the same object as before has the same bytes. So each is encoded once, by the state's
own frames and at its level, and two states have one fingerprint just when they would have one snapshot.
"""

from collections.abc import Callable
from operator import is_
from typing import Any, NamedTuple

from orion.state.core.table import Table
from sim.builds import Build

Print = tuple[object, ...]


class _Seen(NamedTuple):
    """A table as it was, and the bytes of each row."""

    keys: list[Any]
    rows: list[Any]
    encoded: list[bytes]


class _SeenJob(NamedTuple):
    job: Any
    refusal: Any
    successor: Any
    slots: list[Any]
    encoded: bytes


class Fingerprint:
    """Of one state, which a node of that build holds."""

    def __init__(self, build: Build, state: Any) -> None:
        self.state = state
        self._encode: Callable[[object, int], bytes] = build.module("orion.state.core.frames")._encoder.encode
        self._rollout_row = build.module("orion.state.tables.job_rows")._row
        self._frames_of_jobs = build.module("orion.state.tables.job_rows")._frames
        self._level = 0
        self._seen: dict[str, _Seen] = {}
        self._jobs_seen: dict[str, _SeenJob] = {}

    def take(self) -> Print:
        state = self.state
        if state.level != self._level:  # at which everything is written
            self._level = state.level
            self._seen.clear()
            self._jobs_seen.clear()
        parts: list[object] = [state.index, state.cluster, state.recovery, state.level]
        for table in state.tables.values():
            parts += table.header().values()
            parts.append(self._table(table))
        return tuple(parts)

    def _table(self, table: Table) -> int:
        """By how it is captured, and by name: where two builds are in one cluster, the classes are of either."""
        match type(table).capture.__qualname__:
            case "KeyedTable.capture":
                keys, frame = list(table.ordered()), table.rows_frame  # type: ignore[attr-defined]
                rows = [table.rows[key] for key in keys]  # type: ignore[attr-defined]
                return _hash(self._rows(table, keys, rows, lambda _, row: frame([row])))
            case "DedupTable.capture":
                answers, frame = table.answers, table.rows_frame  # type: ignore[attr-defined]
                rows = list(answers.values())
                return _hash(self._rows(table, list(answers), rows, lambda mark, answer: frame([(mark, answer)])))
            case "Nodes.capture":
                nodes, (frame, removed) = self.state.nodes, table.frames
                held = self._rows(table, list(nodes), list(nodes.values()), lambda _, node: frame([node]))
                return _hash([*held, self._encode(removed(list(self.state.removed)), self._level)])
            case "Jobs.capture":
                return _hash(self._jobs())
        return _hash([self._encode(frame, self._level) for frame in table.capture()])

    def _rows(
        self, table: Table, keys: list[Any], rows: list[Any], frame: Callable[[Any, Any], object]
    ) -> list[bytes]:
        seen = self._seen.get(type(table).__name__)
        if seen is None:
            seen = _Seen([], [], [])
        count = len(seen.keys)
        if keys[:count] == seen.keys:  # as most often: rows have come, or one took the place of another
            encoded = seen.encoded
            if not all(map(is_, rows, seen.rows)):
                for at, (row, before) in enumerate(zip(rows, seen.rows, strict=False)):
                    if row is not before:
                        encoded[at] = self._encode(frame(keys[at], row), self._level)
            for at in range(count, len(keys)):
                encoded.append(self._encode(frame(keys[at], rows[at]), self._level))
        else:
            known = dict(zip(seen.keys, zip(seen.rows, seen.encoded, strict=True), strict=True))
            encoded = []
            for key, row in zip(keys, rows, strict=True):
                before, its = known.get(key, (None, b""))
                encoded.append(its if before is row else self._encode(frame(key, row), self._level))
        self._seen[type(table).__name__] = _Seen(keys, rows, encoded)
        return encoded

    def _jobs(self) -> list[bytes]:
        """A job's record changes in place, so it is what is in it. A rollout changes in place too: its job is
        encoded each time.
        """
        known, self._jobs_seen, encoded = self._jobs_seen, {}, []
        for name, record in self.state.jobs.items():
            seen = known.get(name)
            if (
                seen is None
                or seen.job is not record.job
                or seen.refusal is not record.refusal
                or seen.successor is not record.successor
                or seen.slots != record.slots
                or record.rollout is not None
            ):
                its = self._encode_job(record)
                seen = _SeenJob(record.job, record.refusal, record.successor, record.slots.copy(), its)
            # One that has a rollout may have none the next time, and be in all else as it was.
            if record.rollout is None:
                self._jobs_seen[name] = seen
            encoded.append(seen.encoded)
        return encoded

    def _encode_job(self, record: Any) -> bytes:
        successors = [record.successor] if record.successor else []
        captured = (record.job, record.refusal, self._rollout_row(record), record.slots)
        return b"".join(self._encode(frame, self._level) for frame in self._frames_of_jobs([captured], successors))


def _hash(encoded: list[bytes]) -> int:
    """Bytes know their hash once it was made."""
    return hash(tuple(encoded))
