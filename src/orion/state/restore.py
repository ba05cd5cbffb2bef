"""A snapshot's bytes back into a state, chunk by chunk, the indexes built on the way."""

from collections.abc import Callable
from typing import Any

import msgspec

from orion.model.allocation import SCHEDULED, Allocation
from orion.model.errors import Corrupt
from orion.model.ids import NodeId
from orion.state import mutations
from orion.state.core.frames import (
    FORMAT,
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    Allocations,
    Answers,
    AnyFrame,
    ConfigAnswers,
    Configs,
    End,
    Frame,
    Header,
    Jobs,
    Nodes,
    Removed,
    Successors,
    decoder,
)
from orion.state.gate import require_understood
from orion.state.records import MAX_COUNT, config_bytes
from orion.state.tables import State


class Restorer:
    """Feed it the chunks in order, cut anywhere, then finish. Each raises Corrupt for bytes that are no snapshot
    or not all of one, and Outdated for one that is written at a level which this build does not know.
    """

    def __init__(self) -> None:
        self._state = State()
        self._pending = bytearray()
        self._header: Header | None = None
        self._end: End | None = None
        self._names: dict[NodeId, NodeId] = {}
        self._created_at_ms = 0
        self._takers: dict[type[Frame], Callable[[Any], None]] = {
            Header: self._take_header,
            Nodes: self._take_nodes,
            Removed: self._take_removed,
            Answers: self._take_answers,
            Jobs: self._take_jobs,
            Allocations: self._take_allocations,
            End: self._take_end,
            Configs: self._take_configs,
            ConfigAnswers: self._take_answers,
            Successors: self._take_successors,
        }

    def feed(self, chunk: bytes) -> None:
        pending = self._pending
        pending += chunk
        start = 0
        while len(pending) - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = int.from_bytes(pending[start:body])
            if length > MAX_FRAME_BYTES:
                raise Corrupt(f"the snapshot is damaged: a frame of {length:,} bytes")
            if len(pending) - body < length:
                break
            start = body + length
            try:
                self._take(decoder.decode(memoryview(pending)[body:start]))
            except (msgspec.MsgspecError, UnicodeDecodeError, LookupError) as error:
                raise Corrupt(f"the snapshot is damaged: {error!r}") from error
        del pending[:start]

    def finish(self) -> State:
        state, end = self._state, self._end
        if end is None or self._pending:
            raise Corrupt("the snapshot is not whole: its end is missing")
        successors = sum(record.successor is not None for record in state.jobs.values())
        found = End(len(state.nodes), len(state.jobs), len(state.allocations), len(state.configs), successors)
        if found != end:
            raise Corrupt(f"the snapshot is damaged: it holds {found}, not {end}")
        return state

    def _take(self, frame: AnyFrame) -> None:
        if (self._header is None) != isinstance(frame, Header) or self._end is not None:
            raise Corrupt("the snapshot is damaged: its frames are out of order")
        self._takers[type(frame)](frame)

    def _take_nodes(self, frame: Nodes) -> None:
        state = self._state
        for node in frame.rows:
            if node.id in state.nodes or node.number in state.numbers or node.number >= state.next_number:
                raise LookupError(node)
            mutations.add_node(state, node).work_index = state.index

    def _take_removed(self, frame: Removed) -> None:
        self._state.removed.update(dict.fromkeys(frame.rows))

    def _take_answers(self, frame: Answers | ConfigAnswers) -> None:
        state = self._state
        memory = state.config_answers if isinstance(frame, ConfigAnswers) else state.answers
        memory.answers.update(frame.rows)

    def _take_jobs(self, frame: Jobs) -> None:
        for job, refusal in frame.rows:
            if not 0 <= job.count <= MAX_COUNT or job.name in self._state.jobs:
                raise LookupError(job.name)
            mutations.add_job(self._state, job, refusal)

    def _take_successors(self, frame: Successors) -> None:
        """Raises LookupError for one that nothing keeps waiting."""
        for job in frame.rows:
            record = self._state.jobs[job.name]
            if record.job.wanted or not record.active or not 0 <= job.count <= MAX_COUNT:
                raise LookupError(job.name)
            record.successor = job

    def _take_allocations(self, frame: Allocations) -> None:
        for allocation in frame.rows:
            self._take_allocation(allocation)

    def _take_configs(self, frame: Configs) -> None:
        state = self._state
        for config in frame.rows:
            stat = config.stat
            if (state.config_keys and stat.key <= state.config_keys[-1]) or stat.size_bytes != len(config.value):
                raise LookupError(stat)
            state.configs[stat.key] = config
            state.config_keys.append(stat.key)
            state.config_bytes += config_bytes(config)

    def _take_end(self, frame: End) -> None:
        self._end = frame

    def _take_header(self, header: Header) -> None:
        if header.format != FORMAT:
            raise Corrupt(f"the snapshot has format {header.format}; this version of orion knows {FORMAT}")
        require_understood(header.level, "the snapshot")
        self._header = header
        state = self._state
        state.index = header.index
        state.cluster = header.cluster
        state.salt = header.cluster & 0xFFFFFFFF
        state.next_number = header.next_number
        state.next_allocation = header.next_allocation
        state.answers.forgotten = header.answers_from
        state.config_answers.forgotten = header.config_answers_from
        state.recovery = header.recovery
        state.level = header.level

    def _take_allocation(self, row: Allocation) -> None:
        """Raises LookupError when its job, task or node is not there, or it is there already."""
        state = self._state
        record = state.jobs[row.job]
        node = state.records.get(row.node)
        sound = 0 <= row.index < record.job.count and len(row.ports) == len(record.job.task.ports)
        if not sound or row.id in state.allocations or (node is None and not row.terminal):
            raise LookupError(row)
        if row.created_at_ms != self._created_at_ms:
            self._created_at_ms = row.created_at_ms
        # Equal values become one object, as they were where `apply` made them: a million rows share much.
        allocation = Allocation(
            row.id,
            record.job.name,
            row.job_version,
            state.small_ints[row.index] if row.index < len(state.small_ints) else row.index,
            node.node.id if node else self._names.setdefault(row.node, row.node),
            row.ports,
            row.wanted,
            self._created_at_ms,
            SCHEDULED if row.status.state is SCHEDULED.state and row.status == SCHEDULED else row.status,
            row.ran,
        )
        mutations.insert(state, record, node, allocation)
