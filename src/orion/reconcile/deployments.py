"""The next step of a deployment: which slots begin, which tasks end, or how it ends.

Each slot goes its own way from the version it has to the goal:

    wants another version ............ begins, as far as parallelism, delay, canaries and the floor let it
    wants the goal, nothing ready .... waits: for a place, an image, a start, its health
    ready ............................ is watched for `monitor_ms`
    steady ........................... the former tasks of the slot end
    steady, and they have ended ...... is done

What is too many for the job's count ends at once. With `alone` the former tasks of a slot end when it begins, and
the new one waits for their end. Before, its image is pulled where it is to run: one that is not to be had is a
failure that has ended nothing.

A new task that fails leads back to the version before, to a pause, or is passed over, as the job's policy says. Of
a batch job nothing leads back: its former version has done its work, or would begin it once more.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from orion.model.after import noted, waits_text
from orion.model.counts import several
from orion.model.deployment import NO_VERSION, Deployment, DeploymentKind, DeploymentState
from orion.model.ids import AllocationId, NodeId, task_id
from orion.model.job import JobKind
from orion.model.placement import waits_of
from orion.model.placement_text import waiting_text
from orion.model.update import FailureAction, UpdateOrder, UpdatePolicy
from orion.reconcile.deployment_look import NEVER_MS, Look, Memory, Slot
from orion.state.job_record import JobRecord
from orion.state.order import Lookup, unmet
from orion.state.tables.deployments import MAX_BEGUN, MAX_RETIRED, EndDeployment, StepDeployment, TurnDeployment

_TOLD_PARTS = 4  # of the progress deadline: progress is told so often at least

Command = StepDeployment | TurnDeployment | EndDeployment


class Decision(msgspec.Struct, frozen=True):
    """`command` is None when nothing is to be done before `again_ms`. `why`: what it waits for; `for_a_word`: for
    somebody who promotes it. `pulls`: nodes that are to pull the goal's image meanwhile. `gives_up_ms`: when it has
    waited too long.
    """

    command: Command | None
    again_ms: int = NEVER_MS
    why: str = ""
    pulls: tuple[NodeId, ...] = ()
    for_a_word: bool = False
    gives_up_ms: int = NEVER_MS


def decide(
    record: JobRecord,
    row: Deployment,
    policy: UpdatePolicy,
    memory: Memory,
    *,
    now_ms: int,
    has_room: Callable[[], bool],
    waits_for: Callable[[], str],
    target: Callable[[int], tuple[NodeId | None, str]] | None = None,
    held_by: Callable[[], str] = str,
) -> Decision:
    """Returns a command without its time (`at_ms`). `has_room`: one more task of the goal fits beside all that run.
    `waits_for`: why a task has no place. `target`: the node that the new task of a slot would go to once its former
    one has ended, which stays while there is none, or why there is none; without it neither place nor image is
    waited for. `held_by`: the jobs that the goal waits for before its first task starts, in words that follow a
    task's name; "" when none.
    """
    if memory.progress != row.progress_at_ms:
        memory.progress, memory.progress_ms, memory.asked_ms = row.progress_at_ms, now_ms, 0
    look = Look(record, row, policy, memory, now_ms, target=target)
    done = sum(slot.done for slot in look.slots)
    if done > memory.done:
        memory.done_at_ms = now_ms
    advanced, memory.done = done > memory.done, done
    failed = [slot.failure for slot in look.slots if slot.failure]
    if failed and (decision := _failed(look, failed)) is not None:
        return decision
    held = held_by()
    alone = _alone(look, has_room)
    look.spare = sum(slot.serving for slot in look.slots) - policy.floor(record.used, stop_first=alone)
    # What is held would leave its slot empty for as long as others take.
    retire = _retires(look, alone=alone and not held)
    begin = [] if held else list(_begins(look, alone=alone))
    if alone:
        retire += [each.id for index in begin[:MAX_BEGUN] for each in look.slots[index].others]
    if look.refused:
        failed += look.refused.values()
        if (decision := _failed(look, failed)) is not None:
            return decision
    finished = all(slot.done or slot.failure or slot.index in look.refused for slot in look.slots)
    if finished and not look.surplus:
        return Decision(_end(look, failed))
    told = record.rollout is not None and record.rollout.alone
    stale = advanced and now_ms - memory.progress_ms > policy.progress_deadline_ms // _TOLD_PARTS
    if begin or retire or alone != told or stale:
        step = StepDeployment(0, row.id, tuple(begin[:MAX_BEGUN]), tuple(retire[:MAX_RETIRED]), alone)
        return Decision(step, look.again_ms, pulls=tuple(look.pulls))
    first = next((slot for slot in look.slots if not slot.done and not slot.failure), None)
    if held and first is not None:
        memory.progress_ms = now_ms  # it has not begun: how long others take says nothing of it
        return Decision(None, look.again_ms, f"{task_id(row.job, first.index)} {held}", pulls=tuple(look.pulls))
    return replace(_waiting(look, waits_for), pulls=tuple(look.pulls))


def _failed(look: Look, failed: Sequence[str]) -> Decision | None:
    """Returns what follows from a failure; None when the deployment goes on all the same."""
    row, action = look.row, look.policy.failure_action
    reason = failed[0]
    if len(failed) > 1:
        reason = f"{reason}; and {len(failed) - 1} more"
    if row.rolling_back or action is FailureAction.CONTINUE:
        return None
    if action is FailureAction.PAUSE:
        return Decision(EndDeployment(0, row.id, DeploymentState.PAUSED, reason))
    if not _may_turn(look):
        return None  # others may still come up
    return Decision(TurnDeployment(0, row.id, reason))


def _may_turn(look: Look) -> bool:
    """Returns whether there is a version to go back to: of a batch the former one is not, as its work is done."""
    return look.row.from_version != NO_VERSION and look.record.job.kind is not JobKind.BATCH


def _alone(look: Look, has_room: Callable[[], bool]) -> bool:
    """Returns whether a slot's former tasks end before its new one begins."""
    rollout, order = look.record.rollout, look.policy.order
    if look.record.job.kind in (JobKind.SYSTEM, JobKind.BATCH):
        return True  # one a node; and no work is done twice at a time
    if look.record.writes_volumes:
        return True  # one at a time
    if order is not UpdateOrder.AUTO:
        return order is UpdateOrder.STOP_FIRST
    if rollout is not None and rollout.alone:
        return True
    # What is under way and has its place will make room: more is asked for when nothing is, or it has none.
    doubled = [slot for slot in look.slots if slot.begun and slot.others]
    if any(slot.new is not None for slot in doubled):
        return False
    crowded = bool(doubled) or any(slot.others for slot in look.slots if not slot.begun)
    return crowded and not has_room()


def _begins(look: Look, *, alone: bool) -> Iterator[int]:
    policy, count = look.policy, len(look.slots)
    waiting = [slot for slot in look.slots if not slot.begun]
    if not waiting:
        return
    begun = [slot for slot in look.slots if slot.begun]
    under_way = sum(not slot.done and not slot.failure for slot in begun)
    room = policy.at_a_time(count) - under_way
    if _canaries_hold(look):
        room = min(room, policy.canary - len(begun))
    if _delays(look, under_way):
        return
    for slot in sorted(waiting, key=lambda slot: (slot.serving, slot.index)):
        if room <= 0:
            return
        if not alone:
            room -= 1
            yield slot.index
        elif not look.may_miss(slot):
            return
        elif look.may_end(slot):
            room -= 1
            yield slot.index
        elif slot.index in look.refused or slot.index in look.unplaced:
            look.spare += 1  # it stays
        else:
            room -= 1


def _delays(look: Look, under_way: int) -> bool:
    """Returns whether the next slot waits for its time to come. On the way back none does: what is ill is not to
    serve for longer.
    """
    memory, delay_ms = look.memory, look.policy.delay_ms
    due_ms = memory.done_at_ms + delay_ms
    if not memory.done_at_ms or not delay_ms or look.now_ms >= due_ms or look.row.rolling_back:
        return False
    look.again_ms = min(look.again_ms, due_ms)
    if not under_way:
        memory.progress_ms = due_ms  # nobody has waited in vain before
    return True


def _canaries_hold(look: Look) -> bool:
    """Returns whether only the canaries may begin. Of more than there are to be, as a change of the job's count may
    leave, those that failed and were passed over hold nobody once enough others are done.
    """
    policy, row = look.policy, look.row
    if not policy.canary or row.promoted or row.rolling_back or row.kind is not DeploymentKind.DEPLOY:
        return False
    begun = [slot for slot in look.slots if slot.begun]
    settled = all(slot.done or slot.failure for slot in begun)
    ready = settled and sum(slot.done for slot in begun) >= policy.canary
    return not (policy.auto_promote and ready)


def _retires(look: Look, *, alone: bool) -> list[AllocationId]:
    """Returns what is to end: in slots that have their new task and, if they are alone, in those that wait for it.
    Of former tasks of a slot, which one deployment after the other may have left there, one is kept at most.
    """
    found = [each.id for each in look.surplus if each.wanted]
    for slot in look.slots:
        if not slot.others:
            continue
        over = slot.steady or slot.completed
        if over or (alone and slot.begun and not slot.ready and look.may_miss(slot) and look.may_end(slot)):
            found += [each.id for each in slot.others]
            if len(found) >= MAX_RETIRED:
                return found  # of a large batch all may end, and each is looked at
        elif len(slot.others) > 1:
            kept = [max(slot.others, key=look.record.is_ready)]
            if not slot.begun:  # it may be that its slot still wants one that is not ready
                kept += filter(look.record.serves, slot.others)
            found += [each.id for each in slot.others if each not in kept]
    return found


def _end(look: Look, failed: Sequence[str]) -> EndDeployment:
    row = look.row
    if failed:
        count = len(look.slots)
        reason = f"{len(failed)} of {count} failed: {failed[0]}" if count > 1 else failed[0]
        return EndDeployment(0, row.id, DeploymentState.FAILED, reason)
    state = DeploymentState.ROLLED_BACK if row.rolling_back else DeploymentState.DONE
    return EndDeployment(0, row.id, state, row.reason)


def _waiting(look: Look, waits_for: Callable[[], str]) -> Decision:
    row, policy = look.row, look.policy
    first = _held_by(look)
    if first is not None and not first.begun and _canaries_hold(look):
        ready = sum(slot.done for slot in look.slots if slot.begun)
        if ready >= policy.canary:
            look.memory.progress_ms = look.now_ms  # how long somebody takes to say it tells nothing of it
            why = _to_promote(row, f"its {several(ready, 'canary', 'canaries')}", ready)
            return Decision(None, look.again_ms, why, for_a_word=True)
    why = _why(look, first, waits_for)
    memory = look.memory
    # What has had its time leaves the rest its own.
    memory.asked_ms = max(memory.asked_ms, _asked_for_ms(look, first))
    due_ms = memory.progress_ms + policy.progress_deadline_ms + memory.asked_ms
    if look.now_ms < due_ms:
        return Decision(None, min(look.again_ms, due_ms), why, gives_up_ms=due_ms)
    reason = f"nothing has come of it for {policy.progress_deadline_ms // 1000:,} s: {why}"
    if row.rolling_back:
        reason = f"{row.reason}; and going back: {reason}"
    turns = policy.failure_action is FailureAction.ROLLBACK
    if turns and _may_turn(look) and not row.rolling_back:
        return Decision(TurnDeployment(0, row.id, reason))
    if turns or row.from_version == NO_VERSION or row.rolling_back:
        return Decision(EndDeployment(0, row.id, DeploymentState.FAILED, reason))
    return Decision(EndDeployment(0, row.id, DeploymentState.PAUSED, reason))


def _asked_for_ms(look: Look, first: Slot | None) -> int:
    """Returns the time that what it waits for is to take: a task is watched, or has its time to end. That time may
    be longer than the progress deadline.
    """
    record, policy = look.record, look.policy
    if first is None:
        return max((record.spec(each.job_version).end_time_ms for each in look.surplus), default=0)
    if first.new is not None and not first.ready:
        return 0
    if first.new is not None and not first.steady:
        return policy.monitor_ms
    ending = [each for each in record.history(first.index) if not each.terminal and not each.wanted]
    return max((record.spec(each.job_version).end_time_ms for each in ending), default=0)


def waits_for_place(record: JobRecord) -> str:
    """Returns why tasks of the job have no place, in words that follow a task's name; "" when nobody has said."""
    return waiting_text(record.refusal, record.job.task) if record.refusal else ""


def what_holds(jobs: Lookup, record: JobRecord, row: Deployment) -> str:
    """Returns the jobs that the goal waits for before its first task starts, in words that follow a task's name; ""
    when none.
    """
    waits = unmet(jobs, record, row.goal)
    # Where no slot has its turn yet, nobody has noted since when.
    return waits_text(noted(waits, waits_of(record.refusal), row.progress_at_ms)) if waits else ""


def _to_promote(row: Deployment, canaries: str, ready: int) -> str:
    return f"{canaries} {'is' if ready == 1 else 'are'} ready: 'orion promote {row.job}' has the rest follow"


def what_it_waits_for(
    record: JobRecord, row: Deployment, waits_for: Callable[[], str], held_by: Callable[[], str] = str
) -> str:
    """Returns it in words, as well as somebody can tell who does not lead: of times it knows nothing."""
    if row.goal != record.job.version:
        return ""
    look = Look(record, row, record.job.update or UpdatePolicy(), Memory({}, {}), 0)
    first = _held_by(look)
    if first is not None and not first.begun and _canaries_hold(look):
        ready = sum(slot.ready for slot in look.slots if slot.begun)
        return _to_promote(row, f"{ready} of its {several(look.policy.canary, 'canary', 'canaries')}", ready)
    if first is not None and (held := held_by()):
        return f"{task_id(row.job, first.index)} {held}"
    return _why(look, first, waits_for)


def _held_by(look: Look) -> Slot | None:
    """Returns what the others wait for: a slot that has begun, for one whose turn is later says nothing. Of those
    one that is not ready, for a ready one has but to stay so.
    """
    open_ones = [slot for slot in look.slots if not slot.done and not slot.failure]
    return min(open_ones, key=lambda slot: (not slot.begun, slot.ready, slot.index), default=None)


def _why(look: Look, slot: Slot | None, waits_for: Callable[[], str]) -> str:
    if slot is None:
        return "what is too many has not ended yet"
    task = task_id(look.row.job, slot.index)
    if (node := look.unpulled.get(slot.index)) is not None:
        return f"{task} has its turn once {node} has pulled its image"
    if (why := look.unplaced.get(slot.index)) is not None:
        return f"{task} has its turn once its new task has a place: {why}"
    if not slot.begun:
        return f"{task} has its turn later"
    if slot.new is None:
        if (slot.ending or slot.others) and not look.record.open[slot.index]:
            return f"{task} waits until the former one has ended"
        return f"{task} {waits_for() or 'waits to be placed'}"
    if not slot.ready:
        status = slot.new.status
        said = f" ({status.reason})" if status.reason else ""
        return f"{task} is {status.state} on {slot.new.node} and not ready{said}"
    if not slot.steady:
        return f"{task} is ready and is watched"
    return f"the former {task} has not ended yet"
