"""How tasks leave a draining node, for jobs that say how they are updated: as few at a time, and as an update does,
so that the job keeps its floor meanwhile.

    nobody uses it ................... it ends at once: it crashes over and over, or has yet to come up
    a new one has room ............... it comes up beside the former one, which ends once it is steady
    stop-first, or no room ........... the former one ends first, if the floor lets it
    it writes to a volume ............ the same: two would write at a time
    none leaves for the job's deadline  all end all the same: somebody waits for the node
    a deployment is under way ........ that replaces what it replaces; here only what nobody uses ends
    it waits for a word or a job ..... as without one: nobody knows for how long
"""

from collections.abc import Callable, Collection

import msgspec

from orion.model.deployment import Deployment, DeploymentKind
from orion.model.ids import AllocationId, NodeId
from orion.model.job import JobKind
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.reconcile.deployment_look import NEVER_MS
from orion.state.job_record import JobRecord
from orion.state.order import Lookup, unmet


class MoveMemory(msgspec.Struct):
    """A leader's memory of a job whose tasks leave. Times are its monotonic clock."""

    ready_at_ms: dict[AllocationId, int] = {}  # since when it is seen ready without a break
    leaving_at_ms: dict[AllocationId, int] = {}  # when it was first seen on a draining node
    progress_ms: int = 0  # when one of them was last seen to have left, or a deployment to be under way
    deploying: bool = False  # at the last look


class Moves(msgspec.Struct, frozen=True):
    """`move`: allocations whose slots want another one beside them. `retire`: those that are to end."""

    move: tuple[AllocationId, ...] = ()
    retire: tuple[AllocationId, ...] = ()
    again_ms: int = NEVER_MS


def decide_moves(
    record: JobRecord,
    draining: Collection[NodeId],
    memory: MoveMemory,
    *,
    now_ms: int,
    has_room: Callable[[int], bool],
    deploying: bool = False,
) -> Moves:
    """`has_room`: one more task of this version of the job fits beside all that run."""
    if record.job.kind is JobKind.SYSTEM:
        return Moves()  # its slots are their nodes'
    policy, count = record.job.update or UpdatePolicy(), record.job.count
    held = [[each for each in record.history(index) if each.wanted and not each.terminal] for index in range(count)]
    ready = {each.id for slot in held for each in slot if record.is_ready(each)}
    steady = _steady(memory, ready, policy, now_ms)
    moving = record.rollout.moving if record.rollout is not None else {}
    on_them = [each for slot in held for each in slot if each.node in draining]
    _note_progress(memory, {each.id for each in on_them}, now_ms, deploying=deploying)
    unused = [each.id for each in on_them if each.id not in ready]
    if deploying:
        return Moves(retire=tuple(unused))
    leaving = [each for each in on_them if each.id in ready and each.id not in moving]
    # Those that have another one come up beside them, with the ids of that.
    followed = [
        (former.id, {each.id for each in slot if record.serves(each)})
        for slot in held
        for former in slot
        if former.id in moving
    ]
    retire = [former for former, new in followed if new & steady]
    retire = [*dict.fromkeys((*retire, *unused))]
    dues_ms = [at + policy.monitor_ms for at in memory.ready_at_ms.values() if moving]
    again_ms = min((due_ms for due_ms in dues_ms if due_ms > now_ms), default=NEVER_MS)
    # Who watches a successor is to see the end of it, whatever that is.
    watched = any(new & ready for _, new in followed)
    patience_ms = policy.progress_deadline_ms + (policy.monitor_ms if watched else 0)
    ends_ms = {each: max(at, memory.progress_ms) + patience_ms for each, at in memory.leaving_at_ms.items()}
    late = [each for each, at in ends_ms.items() if now_ms >= at]
    if late:
        return Moves((), tuple({*retire, *late}), again_ms)
    room = max(1, policy.at_a_time(count)) - len(followed)
    move: list[AllocationId] = []
    serving = sum(any(each.id in ready for each in slot) for slot in held) + _done(record)
    batch = record.job.kind is JobKind.BATCH  # no task runs twice at a time, and nobody misses one
    floor = count - policy.at_a_time(count) if batch else policy.floor(count, stop_first=True)
    one_by_one = policy.order is UpdateOrder.STOP_FIRST or record.writes_volumes or batch
    fits: dict[int, bool] = {}
    # Canaries go last: for one without a place its deployment would begin to wait.
    for each in sorted(leaving, key=lambda each: (each.job_version == record.job.version, each.index)):
        if room <= 0:
            break
        version = record.version(each.index)
        if not one_by_one and version not in fits:
            fits[version] = has_room(version)
        if not one_by_one and fits[version]:
            move.append(each.id)
            room -= 1
        elif (batch or policy.order is not UpdateOrder.START_FIRST) and serving > floor:
            retire.append(each.id)
            serving -= 1
            room -= 1
    return Moves(tuple(move), tuple(retire), min((again_ms, *ends_ms.values())))


def is_led(jobs: Lookup, record: JobRecord, row: Deployment | None) -> bool:
    """Returns whether the job's tasks are exchanged by its running deployment, None for none: not by one that waits
    for other jobs, nor by one whose canaries run, all that it has begun, while somebody has yet to promote it.
    """
    if row is None or unmet(jobs, record, row.goal):
        return False
    policy = record.job.update or UpdatePolicy()
    if row.promoted or row.rolling_back or row.kind is not DeploymentKind.DEPLOY:
        return True
    begun = [index for index in range(record.job.count) if record.version(index) == row.goal]
    holds = not policy.auto_promote and policy.canary <= len(begun) < record.job.count
    return not (policy.canary and holds and all(_is_new(record, index, row.goal) for index in begun))


def _is_new(record: JobRecord, index: int, goal: int) -> bool:
    """Returns whether nothing but a ready task of this version is in a slot."""
    held = [each for each in record.history(index) if not each.terminal]
    if not held:
        return False
    (new, *others) = held
    return not others and new.wanted and new.job_version == goal and record.serves(new) and record.is_ready(new)


def _done(record: JobRecord) -> int:
    """Nobody misses a task of a batch that has run to its end. One that was told to leave may have to run again."""
    if record.job.kind is not JobKind.BATCH:
        return 0
    slots = range(record.job.count)
    return sum(record.has_ended(each) and all(run.terminal for run in record.history(each)) for each in slots)


def _note_progress(memory: MoveMemory, here: set[AllocationId], now_ms: int, *, deploying: bool) -> None:
    """They leave a few at a time, and a deployment goes first: neither is a reason to end those that wait."""
    if deploying or memory.deploying or memory.leaving_at_ms.keys() - here:
        memory.progress_ms = now_ms
    memory.deploying = deploying
    memory.leaving_at_ms = {each: memory.leaving_at_ms.get(each, now_ms) for each in sorted(here)}


def _steady(
    memory: MoveMemory, ready: Collection[AllocationId], policy: UpdatePolicy, now_ms: int
) -> set[AllocationId]:
    memory.ready_at_ms = {each: memory.ready_at_ms.get(each, now_ms) for each in ready}
    return {each for each, since in memory.ready_at_ms.items() if now_ms >= since + policy.monitor_ms}
