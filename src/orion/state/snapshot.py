"""The state as bytes, and back.

A snapshot is a stream of frames that begins with a Header, ends with an End that counts what came between, and
may be cut into chunks anywhere. Only tables are in it, each in an order that a restore repeats, so that equal
states give equal bytes.

`capture` is one short step (it copies dicts and lists, not what is in them); after it `apply` may go on while
`encode` yields chunk after chunk. `restore.Restorer` takes them.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from orion.model.allocation import Allocation
from orion.model.configs import Config
from orion.model.job import Job
from orion.state.core.frames import (
    FORMAT,
    LENGTH_BYTES,
    Allocations,
    Answers,
    AnyFrame,
    ConfigAnswers,
    Configs,
    End,
    Header,
    Jobs,
    Nodes,
    Removed,
    Successors,
    encoder,
)
from orion.state.records import Slot
from orion.state.tables import State

CHUNK_BYTES = 256 * 1024
MAX_CHUNK_BYTES = 1024 * 1024
_ROWS = 64  # of one frame; reasons and answers are bounded, so a frame of them stays under MAX_CHUNK_BYTES


_Row = TypeVar("_Row")


class Captured:
    """What `encode` needs of a state, untouched by later commands."""

    __slots__ = ("answers", "config_answers", "configs", "header", "jobs", "nodes", "removed", "successors")

    def __init__(self, state: State) -> None:
        self.header = Header(
            FORMAT,
            state.index,
            state.cluster,
            state.next_number,
            state.next_allocation,
            state.answers.forgotten,
            state.recovery,
            state.config_answers.forgotten,
            state.level,
        )
        self.nodes = list(state.nodes.values())
        self.removed = list(state.removed)
        self.answers = list(state.answers.answers.items())
        self.config_answers = list(state.config_answers.answers.items())
        self.configs = [state.configs[key] for key in state.config_keys]
        self.jobs: list[tuple[Job, str, list[Slot]]] = [
            (record.job, record.refusal, record.slots.copy()) for record in state.jobs.values()
        ]
        self.successors = [record.successor for record in state.jobs.values() if record.successor]


def capture(state: State) -> Captured:
    return Captured(state)


def encode(captured: Captured) -> Iterator[bytes]:
    """Chunks of about CHUNK_BYTES, at most MAX_CHUNK_BYTES, each made when asked for."""
    buffer, level = bytearray(), captured.header.level
    for frame in _frames(captured):
        start = len(buffer)
        buffer += bytes(LENGTH_BYTES)
        encoder.encode_into(frame, buffer, start + LENGTH_BYTES, level)
        buffer[start : start + LENGTH_BYTES] = (len(buffer) - start - LENGTH_BYTES).to_bytes(LENGTH_BYTES)
        if len(buffer) >= CHUNK_BYTES:
            yield from _cut(buffer)
            buffer.clear()
    yield from _cut(buffer)


def _cut(buffer: bytearray) -> Iterator[bytes]:
    for start in range(0, len(buffer), MAX_CHUNK_BYTES):
        yield bytes(buffer[start : start + MAX_CHUNK_BYTES])


def _frames(captured: Captured) -> Iterator[AnyFrame]:
    yield captured.header
    for nodes in _batches(captured.nodes):
        yield Nodes(nodes)
    for removed in _batches(captured.removed):
        yield Removed(removed)
    for answers in _batches(captured.answers):
        yield Answers(answers)
    for answers in _batches(captured.config_answers):
        yield ConfigAnswers(answers)
    for configs in _config_batches(captured.configs):
        yield Configs(configs)
    count = 0
    for job, refusal, slots in captured.jobs:
        yield Jobs([(job, refusal)])
        for rows in _batches(_flat(slots)):
            count += len(rows)
            yield Allocations(rows)
    for successor in captured.successors:
        yield Successors([successor])
    yield End(len(captured.nodes), len(captured.jobs), count, len(captured.configs), len(captured.successors))


def _flat(slots: list[Slot]) -> Iterator[Allocation]:
    for slot in slots:
        if isinstance(slot, tuple):
            yield from slot
        elif slot is not None:
            yield slot


def _config_batches(configs: list[Config]) -> Iterator[list[Config]]:
    """Few enough for a frame to stay well under MAX_CHUNK_BYTES, whatever the values' sizes."""
    batch: list[Config] = []
    size = 0
    for config in configs:
        batch.append(config)
        size += config.stat.size_bytes
        if len(batch) == _ROWS or size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
