"""Jobs, tasks and allocations as a follower was told of them, and the rows that are others now.

A look costs a comparison of each job, mostly by identity, and is free for whoever does not follow. Nothing that
changes state has to remember to say so.
"""

from collections.abc import Iterable, Iterator

import msgspec

from orion.model.allocation import Allocation
from orion.model.api.watch import Noun, Row
from orion.model.ids import JobName, NodeId, allocation_text, task_id
from orion.model.job import JobKind
from orion.node.views import render_rows
from orion.state.job_record import JobRecord, Slot
from orion.state.tables.cron_rows import Crons
from orion.state.tables.deployment_rows import Deployments
from orion.state.view import View

AT_ONCE = 500  # jobs, between two breaths


class Change(msgspec.Struct):
    """Rows of one noun that are new or others than before, and the keys of those that are gone."""

    noun: Noun
    rows: list[Row]
    gone: list[str]


class _Told:
    """A job as it was told. What all of its tasks depend on is in `spec`, what its own row does in `others` too."""

    __slots__ = ("count", "opened", "others", "slots", "spec")

    def __init__(self, view: View, record: JobRecord) -> None:
        rollout, latest = record.rollout, record.latest
        waits = record.active if record.successor is not None else 0  # for so many to end
        versions = tuple(rollout.specs) if rollout is not None else ()
        self.spec: tuple[object, ...] = (record.job, record.successor, record.refusal, waits, versions)
        cron = view.of(Crons).get(latest.name) if latest.kind is JobKind.CRON else None
        self.others = (view.of(Deployments).latest(latest.name), cron)
        self.slots: list[Slot] = record.slots
        self.opened: bytes | bytearray = record.open
        self.count = 0 if latest.kind is JobKind.CRON else latest.count  # the runs of a cron job have tasks

    def keep(self) -> None:
        """The state goes on with its own lists."""
        self.slots, self.opened = self.slots.copy(), bytes(self.opened)

    def same(self, former: "_Told") -> bool:
        return (
            self.spec == former.spec
            and self.slots == former.slots
            and self.opened == former.opened
            and self.others == former.others
        )

    def moved(self, former: "_Told | None") -> Iterable[int]:
        """The slots that are others than before."""
        most = max(self.count, len(self.slots))
        if former is None or former.spec != self.spec:
            return range(most)
        return (
            index
            for index in range(most)
            if _at(self.slots, index) is not _at(former.slots, index)
            or self.opened[index : index + 1] != former.opened[index : index + 1]
        )


class ToldJobs:
    def __init__(self) -> None:
        self._told: dict[JobName, _Told] = {}
        self._hosts: dict[NodeId, str] = {}

    def changes(self, view: View) -> Iterator[list[Change]]:
        """In pieces: the state may go on between them, and is told as each piece finds it."""
        hosts = {node.id: node.api_address for node in view.nodes()}
        if hosts != self._hosts:  # ports are told with them
            self._hosts = hosts
            for told in self._told.values():
                told.spec = ()
        names = view.job_names()
        for start in range(0, len(names) or 1, AT_ONCE):
            piece = _Piece(view)
            for name in names[start : start + AT_ONCE]:
                record = view.job_record(name)
                if record is not None:
                    self._look(view, name, record, piece)
            yield piece.changes
        gone = [name for name in self._told if view.job_record(name) is None]
        if gone:
            piece = _Piece(view)
            for name in gone:
                piece.forget(name, self._told.pop(name))
            yield piece.changes

    def _look(self, view: View, name: JobName, record: JobRecord, piece: "_Piece") -> None:
        now, former = _Told(view, record), self._told.get(name)
        if former is not None and now.same(former):
            return
        now.keep()
        self._told[name] = now
        piece.jobs.rows.append(render_rows.job_row(view, record))
        for index in now.moved(former):
            if index < now.count:
                piece.tasks.rows.append(render_rows.task_row(record, index, view.node))
            piece.allocations.rows += (render_rows.allocation_row(record, each) for each in record.history(index))
        if former is not None:
            piece.forget_some(name, former, now)


class _Piece:
    def __init__(self, view: View) -> None:
        self.jobs = Change(Noun.JOBS, [], [])
        self.tasks = Change(Noun.TASKS, [], [])
        self.allocations = Change(Noun.ALLOCATIONS, [], [])
        self._view = view

    @property
    def changes(self) -> list[Change]:
        return [self.jobs, self.tasks, self.allocations]

    def forget(self, name: JobName, told: _Told) -> None:
        self.jobs.gone.append(name)
        self.tasks.gone += (task_id(name, index) for index in range(told.count))
        self.allocations.gone += (allocation_text(each.id) for slot in told.slots for each in _history(slot))

    def forget_some(self, name: JobName, former: _Told, now: _Told) -> None:
        self.tasks.gone += (task_id(name, index) for index in range(now.count, former.count))
        for index, slot in enumerate(former.slots):
            if slot is _at(now.slots, index):
                continue
            left = {each.id for each in _history(_at(now.slots, index))}
            self.allocations.gone += (allocation_text(each.id) for each in _history(slot) if each.id not in left)


def _at(slots: list[Slot], index: int) -> Slot:
    return slots[index] if index < len(slots) else None


def _history(slot: Slot) -> tuple[Allocation, ...]:
    if slot is None:
        return ()
    return slot if isinstance(slot, tuple) else (slot,)
