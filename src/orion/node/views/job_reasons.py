"""Why a job is not as asked, in a sentence for people. Pure reads."""

from orion.model.allocation import Allocation, AllocationState
from orion.model.counts import several
from orion.model.deployment import UNMET, Deployment, DeploymentKind
from orion.model.deployment_text import end_text, way_back_text
from orion.model.placement_text import waiting_text
from orion.node.views.counts import Counts, active_of
from orion.state.job_record import JobRecord
from orion.state.slots import task_slot

_RESTARTING = "restarting after "  # begins the reason of a run whose program has ended


def job_reason(record: JobRecord, deployment: Deployment | None, total: Counts) -> str:
    """Returns what the job waits for, why it does not come up, or what became of its last change; "" for nothing.

    `deployment`: the last of its name. `total`: its counts. A look at all of its tasks is spared where none has
    anything to say.
    """
    if record.successor is not None:
        return f"waits until {several(record.active, 'task')} of the former {record.job.name} ended"
    if record.open_count:
        return _why_open(record)
    last = deployment if deployment and deployment.created_index == record.latest.created_index else None
    if last is not None and last.running and last.rolling_back:
        return way_back_text(last.kind, last.to_version, last.reason)
    return (_of_tasks(record, last, total) if total.troubled else "") or _of_last_change(record, last)


def _why_open(record: JobRecord) -> str:
    who = f"{record.open_count:,} of {several(record.job.count, 'task')}"
    verb = "waits" if record.open_count == 1 else "wait"
    if not record.refusal:
        return f"{who} {verb} to be placed"
    return f"{who} {waiting_text(record.refusal, record.job.task, verb)}"


def _of_last_change(record: JobRecord, last: Deployment | None) -> str:
    """Returns how the last change ended that came to nothing, until the next one begins."""
    if last is None or record.job.stopped or record.job.stopping or last.state not in UNMET:
        return ""
    return end_text(last.kind, last.to_version, last.state, last.reason)


def _of_tasks(record: JobRecord, deployment: Deployment | None, total: Counts) -> str:
    """Returns how many tasks do not do as they should, and why the first of them does not; "" for none."""
    if record.job.stopped or record.job.stopping:
        return ""
    wanted = [each for each in active_of(record) if each.wanted]
    why = _why_restarts(record, wanted, deployment) or _why_not_ready(record, wanted)
    return why or (_why_failed(record) if total.failed else "")


def _why_restarts(record: JobRecord, wanted: list[Allocation], deployment: Deployment | None) -> str:
    """Returns how many tasks end again and again, and why one of them does; "" for none. What a deployment has
    begun counts until that has ended, also while it may be used: it may end once more.
    """
    watched = deployment is not None and deployment.running and deployment.kind is not DeploymentKind.SCALE
    goal = deployment.goal if deployment is not None and watched else None
    found = {  # by task: while an update goes on it has two runs
        each.index: each.status
        for each in wanted
        if each.status.restarts and (each.job_version == goal or not record.is_ready(each))
    }
    if not found:
        return ""
    again = list(found.values())
    said = next((status.reason for status in again if status.reason), "").removeprefix(_RESTARTING)
    if not said and again[0].exit_code is not None:
        said = f"exit code {again[0].exit_code}"
    verb = "restarts" if len(again) == 1 else "restart"
    who = f"{len(again):,} of {several(record.job.count, 'task')} {verb}"
    return f"{who}: {said}" if said else f"{who}, {max(status.restarts for status in again):,} times so far"


def _why_not_ready(record: JobRecord, wanted: list[Allocation]) -> str:
    why = {each.index: each.status.reason for each in wanted if each.status.reason and not record.is_ready(each)}
    said = list(why.values())
    verb = "is" if len(said) == 1 else "are"
    return f"{len(said):,} of {several(record.job.count, 'task')} {verb} not ready: {said[0]}" if said else ""


def _why_failed(record: JobRecord) -> str:
    """Returns how many tasks have failed for good, and why."""
    slots = [task_slot(record, index) for index in range(len(record.slots))]
    failed = [slot.reason for slot in slots if slot.state == AllocationState.FAILED]
    return f"{len(failed):,} of {several(record.job.count, 'task')} failed: {failed[0]}" if failed else ""
