"""A job's slots as a deployment finds them: what each has, what it waits for, and why its new task has failed."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from orion.model.allocation import Allocation, AllocationState
from orion.model.deployment import NO_VERSION, Deployment
from orion.model.health import Health
from orion.model.ids import AllocationId, NodeId, task_id
from orion.model.job import JobKind
from orion.model.update import UpdatePolicy
from orion.state.job_record import JobRecord, ends_slot
from orion.state.job_record import Slot as Held

WARM_SLOTS = 500  # looked at in one turn of the loop
FAILED_STARTS = 3  # in a row; a registry may be a moment behind
NEVER_MS = 1 << 62
MAX_UNPLACED = 8  # slots without a place, after which a look asks for no more
MAX_UNPULLED = 100  # slots that wait for an image, the same


class Memory(msgspec.Struct):
    """A leader's memory of a deployment, for its own term. Times are its monotonic clock."""

    ready_at_ms: dict[AllocationId, int] = {}  # since when it is seen ready without a break
    restarts: dict[AllocationId, int] = {}  # when it was first seen
    done_at_ms: int = 0  # when a slot was done last
    done: int = 0
    slots: dict[int, Any] = {}  # as each was seen last, while it is the same
    progress: int = -1  # the row's `progress_at_ms` as it was last seen, and since when it is that
    progress_ms: int = 0
    asked_ms: int = 0  # the longest that something since then was to take
    # Images that nodes were asked to pull: "" once it is there, else why it can't be pulled.
    pulls: dict[tuple[NodeId, str], str] = {}


class Slot:
    """A slot as it stands: the allocation that it wants, if it is there, others that are wanted still, and whether
    something in it is only ending. `failure`: why its new task is none; `completed`: it has done its work.
    """

    __slots__ = (
        "begun",
        "completed",
        "done",
        "ending",
        "failure",
        "index",
        "new",
        "others",
        "ready",
        "serving",
        "steady",
    )

    def __init__(self, index: int, *, begun: bool) -> None:
        self.index = index
        self.begun = begun
        self.new: Allocation | None = None
        self.others: list[Allocation] = []
        self.ending = False
        self.ready = False
        self.steady = False
        self.serving = False
        self.done = False
        self.completed = False
        self.failure = ""

    @property
    def lasts(self) -> bool:
        """Returns whether time alone makes nothing else of it."""
        return self.new is None or self.steady or not self.ready


class Seen(NamedTuple):
    """A slot, and all that it was made of."""

    held: Held
    version: int
    goal: int
    used: bool
    slot: Slot

    def is_of(self, held: Held, *wanted: int) -> bool:
        return self.held is held and (self.version, self.goal, self.used) == wanted


class Look:
    """All slots of a job for one deployment."""

    def __init__(
        self,
        record: JobRecord,
        row: Deployment,
        policy: UpdatePolicy,
        memory: Memory,
        now_ms: int,
        slots: range | None = None,
        target: Callable[[int], tuple[NodeId | None, str]] | None = None,
    ) -> None:
        """`target`: as `decide` has it."""
        self.record = record
        self.row = row
        self.policy = policy
        self.memory = memory
        self.now_ms = now_ms
        self.again_ms = NEVER_MS
        self.pulls: list[NodeId] = []  # nodes that have yet to pull the goal's image
        self.unpulled: dict[int, NodeId] = {}  # by slots that wait for it
        self.unplaced: dict[int, str] = {}  # why the new task of a slot would find no place
        self.refused: dict[int, str] = {}  # why it can't be pulled, by slots that did not begin for it
        self._image = record.spec(row.goal).image
        self._target = target
        self.spare = 0  # tasks that may be missed, above the floor
        self.strict = row.from_version != NO_VERSION and not row.rolling_back
        self.slots = [self.slot(index) for index in (range(record.job.count) if slots is None else slots)]
        self.surplus = [
            each
            for index in range(record.job.count, len(record.slots))
            for each in record.history(index)
            if not each.terminal
        ]

    def slot(self, index: int) -> Slot:
        """Returns the slot as it was seen last while nothing in it has changed: of thousands most have not."""
        record, known = self.record, self.memory.slots
        held, version, goal, used = record.slots[index], record.version(index), self.row.goal, record.is_used(index)
        seen: Seen | None = known.get(index)
        if seen is not None and seen.is_of(held, version, goal, used):
            return seen.slot
        slot = self._look_at(index)
        if slot.lasts and not (record.rollout and record.rollout.moving):
            known[index] = Seen(held, version, goal, used, slot)
        else:
            known.pop(index, None)
        return slot

    def _look_at(self, index: int) -> Slot:
        record, goal = self.record, self.row.goal
        slot = Slot(index, begun=record.version(index) == goal)
        batch = record.job.kind is JobKind.BATCH
        for each in record.history(index):
            if each.terminal:
                self.memory.ready_at_ms.pop(each.id, None)  # one that was lost may go on
                if each.job_version == goal and ends_slot(each, record.job.kind):
                    self._ended(slot, each, batch=batch)
                continue
            if not each.wanted:
                slot.ending = True
                continue
            ready = record.is_ready(each)
            steady = self._is_steady(each, ready=ready)
            slot.serving |= ready
            if slot.begun and each.job_version == goal and record.serves(each):
                slot.new, slot.ready, slot.steady = each, ready, steady
                slot.failure = "" if batch else self._failure(slot, each)
            else:
                slot.others.append(each)
        if record.job.collected or not record.is_used(index):
            slot.done = slot.begun = True  # nobody is to run it
        slot.done = slot.begun and (slot.steady or slot.done) and not slot.others and not slot.ending
        return slot

    def may_miss(self, slot: Slot) -> bool:
        """Returns whether the former tasks of a slot may end before its new one is ready, and counts it as missing
        then. One that nobody uses, as any of a batch, is not missed.
        """
        if not slot.serving or self.record.job.kind is JobKind.BATCH:
            return True
        if self.spare <= 0:
            return False
        self.spare -= 1
        return True

    def may_end(self, slot: Slot) -> bool:
        """Returns whether the new task has a place, and its image is there, so that the former tasks may end.
        Nobody waits for it where nobody uses them, nor, if it can't be had, on the way back.
        """
        if not slot.serving or self._target is None:
            return True
        if len(self.unplaced) == MAX_UNPLACED or len(self.unpulled) == MAX_UNPULLED:
            return False
        node, no_place = self._target(slot.index)
        if node is None:
            self.unplaced[slot.index] = no_place
            return False
        why = self.memory.pulls.get((node, self._image))
        if why is None:
            self.pulls.append(node)
            self.unpulled[slot.index] = node
        elif why and self.strict:
            self.refused[slot.index] = f"{task_id(self.record.job.name, slot.index)} on {node}: {why}"
        else:
            return True
        return False

    def _ended(self, slot: Slot, each: Allocation, *, batch: bool) -> None:
        if each.status.state is AllocationState.COMPLETED and batch:
            slot.done = slot.serving = slot.completed = True
        else:
            slot.failure = self._words(each, each.status.reason or f"has {each.status.state}")

    def _is_steady(self, each: Allocation, *, ready: bool) -> bool:
        known = self.memory.ready_at_ms
        if not ready:
            known.pop(each.id, None)
            return False
        since = known.setdefault(each.id, self.now_ms)
        due_ms = since + self.policy.monitor_ms
        if self.now_ms < due_ms:
            self.again_ms = min(self.again_ms, due_ms)
            return False
        return True

    def _failure(self, slot: Slot, each: Allocation) -> str:
        if not self.strict:
            return ""
        status = each.status
        # One that is ready when it is first seen is watched from then on: what was before is over.
        former = self.memory.restarts.setdefault(each.id, status.restarts if slot.ready else 0)
        if status.health is Health.UNHEALTHY:
            return self._words(each, status.reason or "is unhealthy")
        crashed = status.state is AllocationState.STARTING and status.exit_code is not None
        if status.failed_starts >= FAILED_STARTS or crashed:
            return self._words(each, status.reason)
        if status.restarts > former and not slot.steady:
            return self._words(each, status.reason or "has ended and was started again")
        return ""

    @staticmethod
    def _words(each: Allocation, why: str) -> str:
        return f"{task_id(each.job, each.index)} on {each.node}: {why}"


def warm(record: JobRecord, row: Deployment, policy: UpdatePolicy, memory: Memory, now_ms: int) -> Iterator[None]:
    """Looks at some slots at a time, so that `decide` finds most of them known: for jobs of very many tasks."""
    look = Look(record, row, policy, memory, now_ms, slots=range(0))
    for first in range(0, record.job.count, WARM_SLOTS):
        for index in range(first, min(first + WARM_SLOTS, record.job.count)):
            look.slot(index)
        yield
