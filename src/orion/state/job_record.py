"""A job as the state has it: its slots, and the allocations that each remembers.

Most jobs have one version of their spec, and each slot one allocation. What more a job has while it is updated, or
its tasks are moved, is in its Rollout.
"""

from collections.abc import Container

from orion.model.allocation import Allocation, AllocationState
from orion.model.health import Health
from orion.model.ids import AllocationId
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.placement import RefusalReason
from orion.model.update import UpdateOrder
from orion.state.job_queue import queue_key

_ENDING = (JobKind.SERVICE, JobKind.BATCH)  # of these kinds all tasks may end by themselves
OPEN = 1  # value in `JobRecord.open`: the slot wants an allocation

# A slot remembers nothing, one allocation, or several, newest last. One is the usual case: no tuple for it.
Slot = None | Allocation | tuple[Allocation, ...]


def runs_of(slot: Slot) -> tuple[Allocation, ...]:
    """Returns what a slot remembers, newest last."""
    if slot is None:
        return ()
    return slot if isinstance(slot, tuple) else (slot,)


class Rollout:
    """The part of a job that only changes need: the specs of its former versions by number, the version that each
    slot wants (None: all want the job's own), the last version all tasks of which were ready (-1: none was), the
    highest number ever given to a version, and active allocations whose slots want another one in their place.
    While `alone` a slot wants nothing before all that was in it has ended.
    """

    __slots__ = ("alone", "healthy", "last", "moving", "slots", "specs")

    def __init__(self, last: int) -> None:
        self.specs: dict[int, TaskSpec] = {}
        self.slots: list[int] | None = None
        self.healthy = -1
        self.last = last
        self.moving: dict[AllocationId, None] = {}
        self.alone = False

    def copy(self) -> "Rollout":
        copy = Rollout(self.last)
        copy.specs, copy.slots = dict(self.specs), self.slots.copy() if self.slots else None
        copy.healthy, copy.moving, copy.alone = self.healthy, dict(self.moving), self.alone
        return copy

    def parts(self) -> tuple[object, ...]:
        """Equal when the rollouts are."""
        return self.specs, self.slots, self.healthy, self.last, sorted(self.moving), self.alone


class JobRecord:
    """A job, why the rest of it does not fit (`refusal`, "" when nobody refused), and its slots. `successor` is
    the job that has the name once the last allocation of this one has ended: another one, or this one started
    again. It is None but while this one ends. `rollout` is None for a job that was never changed.

    There are more slots than the job counts while what is too many ends.

    Derived: `open` has one byte a slot (so the next open one is found by memchr, and a job of a million costs
    a megabyte), `open_count` how many are OPEN, `active` how many allocations have not ended, `serial` which
    of two jobs is older, `queue_key` the place that it has in queues.
    """

    __slots__ = (
        "active",
        "job",
        "open",
        "open_count",
        "queue_key",
        "refusal",
        "rollout",
        "serial",
        "slots",
        "successor",
    )

    def __init__(self, job: Job, serial: int, refusal: RefusalReason = "") -> None:
        self.job = job
        self.serial = serial
        self.queue_key = queue_key(job.priority, serial)
        self.refusal = refusal
        self.successor: Job | None = None
        self.rollout: Rollout | None = None
        self.slots: list[Slot] = [None] * job.count
        self.open = new_open(job, 0)
        self.open_count = self.open.count(OPEN)
        self.active = 0

    @property
    def latest(self) -> Job:
        """The job that the name stands for: the one that was asked for last."""
        return self.successor or self.job

    @property
    def finished(self) -> bool:
        """Returns whether all of it has ended by itself, and is not to run again."""
        return self.job.kind in _ENDING and self.job.wanted and not self.active and not self.open_count

    def has_ended(self, index: int) -> bool:
        """Returns whether a task has ended and is not to run again."""
        return not self.open[index] and not any(a.wanted and not a.terminal for a in self.history(index))

    @staticmethod
    def of(
        job: Job,
        refusal: RefusalReason,
        slots: list[Slot],
        opened: bytearray,
        successor: Job | None = None,
        active: int = 0,
        rollout: Rollout | None = None,
    ) -> "JobRecord":
        """To be read: what follows from other tables is not in it."""
        record = JobRecord.__new__(JobRecord)
        record.job, record.refusal, record.slots, record.open = job, refusal, slots, opened
        record.successor, record.active, record.rollout = successor, active, rollout
        return record

    def history(self, index: int) -> tuple[Allocation, ...]:
        """The remembered allocations of one slot, newest last. A successor may count more slots than there are."""
        return runs_of(self.slots[index]) if index < len(self.slots) else ()

    def open_indexes(self, limit: int) -> list[int]:
        """The lowest open slots, at most `limit`."""
        found: list[int] = []
        find = self.open.find
        index = find(OPEN)
        while index >= 0 and len(found) < limit:
            found.append(index)
            index = find(OPEN, index + 1)
        return found

    def drop_surplus(self) -> None:
        """Drops the slots at the end in which nothing is left, down to the job's count."""
        slots, size = self.slots, len(self.slots)
        while size > self.job.count and slots[size - 1] is None:
            size -= 1
        if size < len(slots):
            del slots[size:], self.open[size:]
            if self.rollout is not None and self.rollout.slots is not None:
                del self.rollout.slots[size:]
        if self.rollout is not None and not self.rollout.slots:
            self.rollout.slots = None  # as a snapshot has it

    @property
    def alone(self) -> bool:
        """True while a slot wants nothing before all that was in it has ended, as of a batch that was put or was
        changed: no work is done twice at a time.
        """
        update, rollout = self.job.update, self.rollout
        if self.job.kind is JobKind.BATCH and (update is not None or rollout is not None):
            return True
        stop_first = update is not None and update.order is UpdateOrder.STOP_FIRST
        return stop_first or (rollout is not None and rollout.alone)

    @property
    def kept_specs(self) -> tuple[TaskSpec, ...]:
        """All that are kept: of the present version, of former ones, and of the successor."""
        former = self.rollout.specs.values() if self.rollout is not None else ()
        successor = (self.successor.task,) if self.successor is not None else ()
        return (self.job.task, *former, *successor)

    @property
    def writes_volumes(self) -> bool:
        """True when two tasks of a slot might write to a volume, of whichever of its versions they are."""
        if self.job.task.volumes and self.job.task.writes_volumes:
            return True
        rollout = self.rollout
        return rollout is not None and any(spec.writes_volumes for spec in rollout.specs.values() if spec.volumes)

    def is_used(self, index: int) -> bool:
        """Returns whether something is to run in a slot: not in one of a system job that has no node."""
        return self.job.kind is not JobKind.SYSTEM or bool(self.job.homes[index])

    @property
    def used(self) -> int:
        """Slots in which something is to run: those of a system job whose nodes are gone wait for others."""
        if self.job.kind is not JobKind.SYSTEM:
            return self.job.count
        return sum(map(self.is_used, range(self.job.count)))

    def has_ready(self, index: int, without: Container[AllocationId] = ()) -> bool:
        """Returns whether a slot has a task that may be used and is to go on, but for those of `without`."""
        return any(
            each.wanted and not each.terminal and each.id not in without and self.is_ready(each)
            for each in self.history(index)
        )

    def version(self, index: int) -> int:
        """The version that a slot wants."""
        rollout = self.rollout
        return self.job.version if rollout is None or rollout.slots is None else rollout.slots[index]

    def spec(self, version: int) -> TaskSpec:
        """How an allocation of a version is run. A version that nobody needs is forgotten: of an allocation that
        ended long ago it is the present one.
        """
        if self.rollout is None or version == self.job.version:
            return self.job.task
        return self.rollout.specs.get(version, self.job.task)

    def is_ready(self, allocation: Allocation) -> bool:
        """Returns whether an allocation of this job may be used."""
        return allocation.ready_since_ms(self.spec(allocation.job_version)) > 0

    def is_stuck(self, allocation: Allocation) -> bool:
        """Returns whether another node is to run the task: its own can't start it, or it is unhealthy there and is
        to be replaced.
        """
        return allocation.stuck or self.is_ill(allocation)

    def is_ill(self, allocation: Allocation) -> bool:
        """Returns whether it runs, is unhealthy, and is to be replaced for that."""
        status = allocation.status
        if status.health is not Health.UNHEALTHY or status.state is not AllocationState.RUNNING:
            return False
        return allocation.wanted and self.spec(allocation.job_version).is_replaced

    def serves(self, allocation: Allocation) -> bool:
        """Returns whether it is one that its slot wants, as far as it is for others to say."""
        rollout = self.rollout
        if rollout is None:
            return True
        return allocation.job_version == self.version(allocation.index) and allocation.id not in rollout.moving


def new_open(job: Job, start: int) -> bytearray:
    """Which of the slots from `start` on are open, if nothing has run in them yet."""
    if not job.wanted or job.collected or job.kind is JobKind.CRON:
        return bytearray(job.count - start)
    if job.kind is JobKind.SYSTEM:
        return bytearray(map(bool, job.homes[start : job.count]))
    return bytearray(b"\x01") * (job.count - start)


def ends_slot(allocation: Allocation, kind: JobKind) -> bool:
    """Returns whether this run was the last its slot needs: it completed, or failed and its restart policy gave up.

    One that was told to stop may still have completed, which counts for a batch job; that it failed does not.
    """
    ended = allocation.status.state
    if ended is AllocationState.COMPLETED:
        return allocation.wanted or kind is JobKind.BATCH
    return ended is AllocationState.FAILED and allocation.wanted


def slot_wants(record: JobRecord, index: int) -> bool:
    """Returns whether the slot is open, from its remembered allocations alone."""
    job = record.job
    if not job.wanted or index >= job.count or job.collected or job.kind is JobKind.CRON:
        return False
    if not record.is_used(index):
        return False
    for allocation in record.history(index):
        if not allocation.terminal and (record.alone or record.spec(allocation.job_version).writes_volumes):
            return False  # the next one waits for its end
        if not record.serves(allocation):
            continue
        if ends_slot(allocation, job.kind) or (allocation.wanted and not allocation.terminal):
            return False
    return True
