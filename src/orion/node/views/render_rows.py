"""Jobs, tasks and allocations into short rows, of which there may be thousands. Pure reads."""

from collections.abc import Callable
from typing import Any

from orion.model.allocation import Allocation
from orion.model.api.watch import LONGEST_LABEL, MOST_LABELS, AllocationRow, JobRow, TaskRow
from orion.model.ids import NodeId, allocation_text, container_name, task_id
from orion.model.job import JobKind, TaskSpec
from orion.model.node import Node
from orion.node.views import render, render_cron
from orion.node.views.counts import Counts
from orion.node.views.job_reasons import job_reason
from orion.state.job_record import JobRecord
from orion.state.order import has_completed
from orion.state.slots import task_slot
from orion.state.tables.deployment_rows import Deployments
from orion.state.view import View


def job_row(view: View, record: JobRecord, total: Counts) -> JobRow:
    asked = record.latest
    row = view.of(Deployments).latest(asked.name)
    cron = render_cron.of_job(view, asked)
    return JobRow(
        name=asked.name,
        kind=asked.kind.value,
        image=asked.task.image,
        version=asked.version,
        count=asked.count,
        priority=asked.priority,
        active=total.active,
        running=total.running,
        ready=total.ready,
        waiting=record.open_count,
        updated=total.updated,
        stopped=asked.stopped,
        removing=asked.stopping,
        reason=job_reason(record, row, total),
        created_at=render.time_text(asked.created_at_ms),
        deployment=row.state.value if row and row.created_index == asked.created_index else "",
        schedule=asked.schedule.expression if asked.schedule is not None else "",
        next_at=cron.get("next_at"),
        run_of=cron.get("run_of", ""),
        outcome=_outcome(record),
        labels=labels_of(asked.task),
    )


def labels_of(spec: TaskSpec) -> dict[str, str]:
    """Returns the labels of a job's containers that are short, and not too many of them."""
    pairs = spec.options.labels if spec.options is not None else ()
    short = [(name, value) for name, value in pairs if len(name) + len(value) <= LONGEST_LABEL]
    return dict(short[:MOST_LABELS])


def _outcome(record: JobRecord) -> str:
    if record.latest.kind is not JobKind.BATCH or not (record.job.collected or record.finished):
        return ""
    return "completed" if has_completed(record) else "failed"


def task_row(record: JobRecord, index: int, node_of: Callable[[NodeId], Node | None]) -> TaskRow:
    job, slot = record.latest, task_slot(record, index)
    spec, shown = slot.task, slot.allocation
    run = {} if shown is None else _of_run(record, shown)
    ports = {} if shown is None or shown.terminal else render.ports(node_of(shown.node), spec, shown)
    return TaskRow(
        id=task_id(job.name, index),
        job=job.name,
        state=slot.state,
        image=spec.image,
        version=shown.job_version if shown is not None else job.version,
        reason=slot.reason,
        address=shown.status.address if shown is not None else "",
        ports=ports,
        cpu=spec.resources.cpu_millis / 1000,
        memory=spec.resources.memory_bytes,
        allocation=allocation_text(shown.id) if shown is not None else "",
        created_at=render.time_text(job.created_at_ms),
        placed_at=render.time_text(shown.created_at_ms) if shown is not None else None,
        **run,
    )


def allocation_row(record: JobRecord, allocation: Allocation) -> AllocationRow:
    status = allocation.status
    return AllocationRow(
        id=allocation_text(allocation.id),
        task=task_id(allocation.job, allocation.index),
        state=status.state.value,
        version=allocation.job_version,
        reason=status.reason_text(record.spec(allocation.job_version).image),
        wanted=allocation.wanted,
        exit_code=status.exit_code,
        created_at=render.time_text(allocation.created_at_ms),
        container_name=(
            container_name(allocation.job, allocation.index, allocation.id) if status.container else ""
        ),
        **_of_run(record, allocation),
    )


def _of_run(record: JobRecord, allocation: Allocation) -> dict[str, Any]:
    """The fields that a task's row has of its run."""
    status = allocation.status
    return {
        "node_id": allocation.node,
        "health": status.health.value,
        "ready": allocation.wanted and not allocation.terminal and record.is_ready(allocation),
        "restarts": status.restarts,
        "started_at": render.time_text(status.started_at_ms),
        "finished_at": render.time_text(status.finished_at_ms),
    }
