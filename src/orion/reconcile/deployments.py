"""The next step of a deployment: which slots begin, which tasks end, or how it ends.

Each slot goes its own way from the version it has to the goal:

    wants another version ............ begins, as far as parallelism, delay, canaries and the floor let it
    wants the goal, nothing ready .... waits: for a place, an image, a start, its health
    ready ............................ is watched for `monitor_ms`
    steady ........................... the former tasks of the slot end
    steady, and they have ended ...... is done

What is too many for the job's count ends at once. With `alone` the former tasks of a slot end when it begins, and
the new one waits for their end.

A new task that fails leads back to the version before, to a pause, or is passed over, as the job's policy says.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from orion.model.allocation import Allocation, AllocationState
from orion.model.deployment import NO_VERSION, Deployment, DeploymentKind, DeploymentState
from orion.model.health import Health
from orion.model.ids import AllocationId, task_id
from orion.model.job import JobKind
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy
from orion.reconcile.readiness import is_ready
from orion.state.job_record import JobRecord, ends_slot
from orion.state.job_record import Slot as Held
from orion.state.tables.deployments import MAX_BEGUN, MAX_RETIRED, EndDeployment, StepDeployment, TurnDeployment

WARM_SLOTS = 500  # looked at in one turn of the loop
FAILED_STARTS = 3  # in a row; a registry may be a moment behind
_TOLD_PARTS = 4  # of the progress deadline: progress is told so often at least
NEVER_MS = 1 << 62

Command = StepDeployment | TurnDeployment | EndDeployment


class Memory(msgspec.Struct):
    """A leader's memory of a deployment, for its own term. Times are its monotonic clock."""

    ready_at_ms: dict[AllocationId, int] = {}  # since when it is seen ready without a break
    restarts: dict[AllocationId, int] = {}  # when it was first seen
    done_at_ms: int = 0  # when a slot was done last
    done: int = 0
    slots: dict[int, Any] = {}  # as each was seen last, while it is the same
    progress: int = -1  # the row's `progress_at_ms` as it was last seen, and since when it is that
    progress_ms: int = 0


class Decision(msgspec.Struct, frozen=True):
    """`command` is None when nothing is to be done before `again_ms`. `why`: what it waits for."""

    command: Command | None
    again_ms: int = NEVER_MS
    why: str = ""


class _Slot:
    """A slot as it stands: the allocation that it wants, if it is there, others that are wanted still, and whether
    something in it is only ending. `failure`: why its new task is none.
    """

    __slots__ = ("begun", "done", "ending", "failure", "index", "new", "others", "ready", "serving", "steady")

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
        self.failure = ""

    @property
    def lasts(self) -> bool:
        """Returns whether time alone makes nothing else of it."""
        return self.new is None or self.steady or not self.ready


class _Seen(NamedTuple):
    """A slot, and of what it was made."""

    held: Held
    version: int
    goal: int
    slot: _Slot


class _Look:
    """All slots of a job for one deployment."""

    def __init__(
        self,
        record: JobRecord,
        row: Deployment,
        policy: UpdatePolicy,
        memory: Memory,
        now_ms: int,
        slots: range | None = None,
    ) -> None:
        self.record = record
        self.row = row
        self.policy = policy
        self.memory = memory
        self.now_ms = now_ms
        self.again_ms = NEVER_MS
        self.spare = 0  # tasks that may be missed, above the floor
        self.strict = row.from_version != NO_VERSION and not row.rolling_back
        self.slots = [self.slot(index) for index in (range(record.job.count) if slots is None else slots)]
        self.surplus = [
            each
            for index in range(record.job.count, len(record.slots))
            for each in record.history(index)
            if not each.terminal
        ]

    def slot(self, index: int) -> _Slot:
        """Returns the slot as it was seen last while nothing in it has changed: of thousands most have not."""
        record, known = self.record, self.memory.slots
        held, version, goal = record.slots[index], record.version(index), self.row.goal
        seen: _Seen | None = known.get(index)
        if seen is not None and seen.held is held and seen.version == version and seen.goal == goal:
            return seen.slot
        slot = self._look_at(index)
        if slot.lasts and not (record.rollout and record.rollout.moving):
            known[index] = _Seen(held, version, goal, slot)
        else:
            known.pop(index, None)
        return slot

    def _look_at(self, index: int) -> _Slot:
        record, goal = self.record, self.row.goal
        slot = _Slot(index, begun=record.version(index) == goal)
        batch = record.job.kind is JobKind.BATCH
        for each in record.history(index):
            if each.terminal:
                if each.job_version == goal and ends_slot(each, record.job.kind):
                    self._ended(slot, each, batch=batch)
                continue
            if not each.wanted:
                slot.ending = True
                continue
            ready = self.is_ready(each)
            steady = self._is_steady(each, ready=ready)
            slot.serving |= ready
            if slot.begun and each.job_version == goal and record.serves(each):
                slot.new, slot.ready, slot.steady = each, ready, steady
                slot.failure = "" if batch else self._failure(slot, each)
            else:
                slot.others.append(each)
        if record.job.kind is JobKind.SYSTEM and not record.job.homes[index]:
            slot.done = slot.begun = True  # nobody is to run it
        slot.done = slot.begun and (slot.steady or slot.done) and not slot.others and not slot.ending
        return slot

    def is_ready(self, each: Allocation) -> bool:
        return is_ready(each, self.record.spec(each.job_version))

    def may_miss(self, slot: _Slot) -> bool:
        """Returns whether the former tasks of a slot may end before its new one is ready, and counts it as missing
        then. One that nobody uses is not missed.
        """
        if not slot.serving:
            return True
        if self.spare <= 0:
            return False
        self.spare -= 1
        return True

    def _ended(self, slot: _Slot, each: Allocation, *, batch: bool) -> None:
        if each.status.state is AllocationState.COMPLETED and batch:
            slot.done = slot.serving = True
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

    def _failure(self, slot: _Slot, each: Allocation) -> str:
        if not self.strict:
            return ""
        status = each.status
        former = self.memory.restarts.setdefault(each.id, status.restarts if slot.steady else 0)
        if status.health is Health.UNHEALTHY:
            return self._words(each, status.reason or "is unhealthy")
        crashed = status.state is AllocationState.STARTING and status.exit_code is not None
        if status.failed_starts >= FAILED_STARTS or (crashed and not slot.steady):
            return self._words(each, status.reason)
        if status.restarts > former and not slot.steady:
            return self._words(each, status.reason or "has ended and was started again")
        return ""

    @staticmethod
    def _words(each: Allocation, why: str) -> str:
        return f"{task_id(each.job, each.index)} on {each.node}: {why}"


def warm(record: JobRecord, row: Deployment, policy: UpdatePolicy, memory: Memory, now_ms: int) -> Iterator[None]:
    """Looks at some slots at a time, so that `decide` finds most of them known: for jobs of very many tasks."""
    for first in range(0, record.job.count, WARM_SLOTS):
        look = _Look(record, row, policy, memory, now_ms, slots=range(0))
        for index in range(first, min(first + WARM_SLOTS, record.job.count)):
            look.slot(index)
        yield


def decide(
    record: JobRecord,
    row: Deployment,
    policy: UpdatePolicy,
    memory: Memory,
    *,
    now_ms: int,
    has_room: Callable[[], bool],
    waits_for: Callable[[], str],
) -> Decision:
    """Returns a command without its time (`at_ms`). `has_room`: one more task of the goal fits beside all that run.
    `waits_for`: why a task has no place.
    """
    if memory.progress != row.progress_at_ms:
        memory.progress, memory.progress_ms = row.progress_at_ms, now_ms
    look = _Look(record, row, policy, memory, now_ms)
    done = sum(slot.done for slot in look.slots)
    if done > memory.done:
        memory.done_at_ms = now_ms
    advanced, memory.done = done > memory.done, done
    failed = [slot for slot in look.slots if slot.failure]
    if failed and (decision := _failed(look, failed)) is not None:
        return decision
    alone = _alone(look, has_room)
    look.spare = sum(slot.serving for slot in look.slots) - policy.floor(len(look.slots), stop_first=alone)
    retire = _retires(look, alone=alone)
    begin = list(_begins(look, alone=alone))
    if alone:
        retire += [each.id for index in begin[:MAX_BEGUN] for each in look.slots[index].others]
    finished = all(slot.done or slot.failure for slot in look.slots) and not look.surplus
    if finished:
        return Decision(_end(look, failed))
    told = record.rollout is not None and record.rollout.alone
    stale = advanced and now_ms - memory.progress_ms > policy.progress_deadline_ms // _TOLD_PARTS
    if begin or retire or alone != told or stale:
        step = StepDeployment(0, row.id, tuple(begin[:MAX_BEGUN]), tuple(retire[:MAX_RETIRED]), alone)
        return Decision(step, look.again_ms)
    return _waiting(look, waits_for)


def _failed(look: _Look, failed: Sequence[_Slot]) -> Decision | None:
    """Returns what follows from a failure; None when the deployment goes on all the same."""
    row, action = look.row, look.policy.failure_action
    reason = failed[0].failure
    if len(failed) > 1:
        reason = f"{reason}; and {len(failed) - 1} more"
    if row.rolling_back or action is FailureAction.CONTINUE:
        return None
    if action is FailureAction.PAUSE:
        return Decision(EndDeployment(0, row.id, DeploymentState.PAUSED, reason))
    if row.from_version == NO_VERSION:
        return None  # there is nothing to go back to, and others may still come up
    return Decision(TurnDeployment(0, row.id, reason))


def _alone(look: _Look, has_room: Callable[[], bool]) -> bool:
    """Returns whether a slot's former tasks end before its new one begins."""
    rollout, order = look.record.rollout, look.policy.order
    if look.record.job.kind is JobKind.SYSTEM:
        return True  # one a node
    if order is not UpdateOrder.AUTO:
        return order is UpdateOrder.STOP_FIRST
    if rollout is not None and rollout.alone:
        return True
    # Of a slot that nobody serves nothing is to be kept: only those that have a former task ask for room twice.
    crowded = any(slot.others and (not slot.begun or slot.new is None) for slot in look.slots)
    return crowded and not has_room()


def _begins(look: _Look, *, alone: bool) -> Iterator[int]:
    policy, count = look.policy, len(look.slots)
    waiting = [slot for slot in look.slots if not slot.begun]
    if not waiting:
        return
    begun = [slot for slot in look.slots if slot.begun]
    under_way = sum(not slot.done and not slot.failure for slot in begun)
    room = policy.at_a_time(count) - under_way
    if _canaries_hold(look):
        room = min(room, policy.canary - len(begun))
    due_ms = look.memory.done_at_ms + policy.delay_ms
    if look.memory.done_at_ms and policy.delay_ms and look.now_ms < due_ms:
        look.again_ms = min(look.again_ms, due_ms)
        return
    for slot in sorted(waiting, key=lambda slot: (slot.serving, slot.index)):
        if room <= 0:
            return
        if alone and not look.may_miss(slot):
            return
        room -= 1
        yield slot.index


def _canaries_hold(look: _Look) -> bool:
    """Returns whether only the canaries may begin."""
    policy, row = look.policy, look.row
    if not policy.canary or row.promoted or row.rolling_back or row.kind is not DeploymentKind.DEPLOY:
        return False
    begun = [slot for slot in look.slots if slot.begun]
    ready = len(begun) >= policy.canary and all(slot.done for slot in begun)
    return not (policy.auto_promote and ready)


def _retires(look: _Look, *, alone: bool) -> list[AllocationId]:
    """Returns what is to end: in slots that have their new task and, if they are alone, in those that wait for it.
    Of former tasks of a slot, which one deployment after the other may have left there, one is kept at most.
    """
    found = [each.id for each in look.surplus if each.wanted]
    for slot in look.slots:
        if not slot.others:
            continue
        if slot.steady or (alone and slot.begun and not slot.ready and look.may_miss(slot)):
            found += [each.id for each in slot.others]
        elif len(slot.others) > 1:
            kept = [max(slot.others, key=look.is_ready)]
            if not slot.begun:  # it may be that its slot still wants one that is not ready
                kept += filter(look.record.serves, slot.others)
            found += [each.id for each in slot.others if each not in kept]
    return found


def _end(look: _Look, failed: Sequence[_Slot]) -> EndDeployment:
    row = look.row
    if failed:
        count = len(look.slots)
        reason = f"{len(failed)} of {count} failed: {failed[0].failure}" if count > 1 else failed[0].failure
        return EndDeployment(0, row.id, DeploymentState.FAILED, reason)
    state = DeploymentState.ROLLED_BACK if row.rolling_back else DeploymentState.DONE
    return EndDeployment(0, row.id, state, row.reason)


def _waiting(look: _Look, waits_for: Callable[[], str]) -> Decision:
    row, policy = look.row, look.policy
    first = next((slot for slot in look.slots if not slot.done and not slot.failure), None)
    if first is not None and not first.begun and _canaries_hold(look):
        ready = sum(slot.done for slot in look.slots if slot.begun)
        if ready >= policy.canary:
            why = f"its {ready} canaries are ready: 'orion promote {row.job}' has the rest follow"
            return Decision(None, look.again_ms, why)
    why = _why(look, first, waits_for)
    due_ms = look.memory.progress_ms + policy.progress_deadline_ms
    if look.now_ms < due_ms:
        return Decision(None, min(look.again_ms, due_ms), why)
    reason = f"nothing has come of it for {policy.progress_deadline_ms // 1000:,} s: {why}"
    if row.rolling_back:
        reason = f"{row.reason}; and going back: {reason}"
    if row.from_version == NO_VERSION or row.rolling_back:
        return Decision(EndDeployment(0, row.id, DeploymentState.FAILED, reason))
    if policy.failure_action is FailureAction.ROLLBACK:
        return Decision(TurnDeployment(0, row.id, reason))
    return Decision(EndDeployment(0, row.id, DeploymentState.PAUSED, reason))


def what_it_waits_for(record: JobRecord, row: Deployment, waits_for: Callable[[], str]) -> str:
    """Returns it in words, as well as somebody can tell who does not lead: of times it knows nothing."""
    if row.goal != record.job.version:
        return ""
    look = _Look(record, row, record.job.update or UpdatePolicy(), Memory({}, {}), 0)
    first = next((slot for slot in look.slots if not slot.done and not slot.failure), None)
    if first is not None and not first.begun and _canaries_hold(look):
        ready = sum(slot.ready for slot in look.slots if slot.begun)
        return (
            f"{ready} of its {look.policy.canary} canaries are ready; 'orion promote {row.job}' has the rest follow"
        )
    return _why(look, first, waits_for)


def _why(look: _Look, slot: _Slot | None, waits_for: Callable[[], str]) -> str:
    if slot is None:
        return "what is too many has not ended yet"
    task = task_id(look.row.job, slot.index)
    if not slot.begun:
        return f"{task} has its turn later"
    if slot.new is None:
        if slot.ending and not look.record.open[slot.index]:
            return f"{task} waits until the former one has ended"
        return f"{task} {waits_for() or 'waits to be placed'}"
    if not slot.ready:
        status = slot.new.status
        said = f" ({status.reason})" if status.reason else ""
        return f"{task} is {status.state} on {slot.new.node} and not ready{said}"
    if not slot.steady:
        return f"{task} is ready and is watched"
    return f"the former {task} has not ended yet"
