"""Jobs, tasks and allocations as a follower was told of them, and the rows that are others now.

A look costs a comparison of each job, mostly by identity, and is free for whoever does not follow. Nothing that
changes state has to remember to say so.
"""

from collections.abc import Iterator

import msgspec

from orion.model.api.watch import Noun, Row
from orion.model.ids import JobName, NodeId, allocation_text, task_id
from orion.model.job import JobKind
from orion.node.views import counts, render_rows
from orion.node.views.counts import NONE, Counts
from orion.state.job_record import JobRecord, Slot, runs_of
from orion.state.tables.cron_rows import Crons
from orion.state.tables.deployment_rows import Deployments
from orion.state.view import View

JOBS_AT_ONCE = 500  # looked at, between two breaths
ROWS_AT_ONCE = 100  # of tasks, made between two breaths


class Change(msgspec.Struct):
    """Rows of one noun that are new or others than before, and the keys of those that are gone."""

    noun: Noun
    rows: list[Row]
    gone: list[str]


class _Told:
    """A job as it was told. What all of its tasks depend on is in `spec`, what its own row does in `others` too."""

    __slots__ = ("count", "counts", "opened", "others", "slots", "spec", "total")

    def __init__(self, view: View, record: JobRecord) -> None:
        rollout, latest = record.rollout, record.latest
        waits = record.active if record.successor is not None else 0  # for so many to end
        versions = tuple(rollout.specs) if rollout is not None else ()
        self.spec: tuple[object, ...] = (record.job, record.successor, record.refusal, waits, versions)
        cron = view.of(Crons).get(latest.name) if latest.kind is JobKind.CRON else None
        self.others = (view.of(Deployments).latest(latest.name), cron)
        self.slots: list[Slot] = record.slots
        self.opened: bytes | bytearray = record.open
        self.counts: list[Counts] = []
        self.total = NONE
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

    def moved(self, former: "_Told | None") -> list[int]:
        """Returns the slots that are others than before."""
        most = max(self.count, len(self.slots))
        if former is None or former.spec != self.spec:
            return list(range(most))
        pairs = zip(self.slots, former.slots, strict=False)
        found = {index for index, (slot, past) in enumerate(pairs) if slot is not past}
        found.update(range(min(len(former.slots), most), most))
        if self.opened != former.opened:
            opens = zip(self.opened, former.opened, strict=False)
            found.update(index for index, (is_open, was_open) in enumerate(opens) if is_open != was_open)
        return sorted(found)

    def sum_up(self, record: JobRecord, former: "_Told | None", moved: list[int]) -> None:
        """Counts anew what is in the slots that have moved; all else was counted before."""
        size = max(self.count, len(self.slots))
        if former is None or former.spec != self.spec or len(former.counts) != size:
            self.counts = [counts.of_slot(record, index) for index in range(size)]
            self.total = counts.summed(self.counts)
            return
        self.counts, self.total = former.counts, former.total
        for index in moved:
            now = counts.of_slot(record, index)
            if (past := self.counts[index]) != now:
                self.total = Counts(*(a + b - c for a, b, c in zip(self.total, now, past, strict=True)))
                self.counts[index] = now


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
        piece = _Piece(view)
        for looked, name in enumerate([*view.job_names()], 1):
            record = view.job_record(name)
            if record is None:
                continue
            for _ in self._look(name, record, piece):
                yield piece.taken()
            if looked % JOBS_AT_ONCE == 0:
                yield piece.taken()
        for name in [name for name in self._told if view.job_record(name) is None]:
            piece.forget(name, self._told.pop(name))
        yield piece.taken()

    def _look(self, name: JobName, record: JobRecord, piece: "_Piece") -> Iterator[None]:
        """Stops wherever the piece has enough."""
        now, former = _Told(piece.view, record), self._told.get(name)
        if former is not None and now.same(former):
            return
        now.keep()
        self._told[name] = now
        moved = now.moved(former)
        now.sum_up(record, former, moved)
        piece.jobs.rows.append(render_rows.job_row(piece.view, record, now.total))
        if former is not None:
            piece.forget_some(name, former, now, moved)
        for index in moved:
            if index < min(now.count, record.latest.count):  # it may have fewer by now
                piece.tasks.rows.append(render_rows.task_row(record, index, piece.view.node))
            piece.allocations.rows += (render_rows.allocation_row(record, each) for each in record.history(index))
            if len(piece.tasks.rows) >= ROWS_AT_ONCE:
                yield


class _Piece:
    """Changes that are told together."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._begin()

    def _begin(self) -> None:
        self.jobs = Change(Noun.JOBS, [], [])
        self.tasks = Change(Noun.TASKS, [], [])
        self.allocations = Change(Noun.ALLOCATIONS, [], [])

    def taken(self) -> list[Change]:
        """Returns them; it begins anew."""
        changes = [self.jobs, self.tasks, self.allocations]
        self._begin()
        return changes

    def forget(self, name: JobName, told: _Told) -> None:
        self.jobs.gone.append(name)
        self.tasks.gone += (task_id(name, index) for index in range(told.count))
        self.allocations.gone += (allocation_text(each.id) for slot in told.slots for each in runs_of(slot))

    def forget_some(self, name: JobName, former: _Told, now: _Told, moved: list[int]) -> None:
        self.tasks.gone += (task_id(name, index) for index in range(now.count, former.count))
        for index in (*moved, *range(len(now.slots), len(former.slots))):
            slot = _at(former.slots, index)
            left = {each.id for each in runs_of(_at(now.slots, index))}
            self.allocations.gone += (allocation_text(each.id) for each in runs_of(slot) if each.id not in left)


def _at(slots: list[Slot], index: int) -> Slot:
    return slots[index] if index < len(slots) else None
