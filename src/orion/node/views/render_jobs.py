"""Jobs and deployments into what the API shows."""

import sys
from bisect import bisect_right

from orion.model.allocation import AllocationState
from orion.model.api.codec import fields_from_spec
from orion.model.api.deployments import DeploymentProgress, DeploymentView
from orion.model.api.job_codec import job_fields
from orion.model.api.jobs import JobView, VersionView
from orion.model.api.tasks import ShownFields
from orion.model.deployment import NO_VERSION, Deployment
from orion.model.errors import NotFound
from orion.model.ids import JobName
from orion.node.rpc.reads import Page
from orion.node.views import counts, render_cron
from orion.node.views.job_reasons import job_reason
from orion.node.views.render import time_text
from orion.reconcile.deployments import waits_for_place, what_holds, what_it_waits_for
from orion.state.job_record import JobRecord
from orion.state.tables.deployment_rows import Deployments
from orion.state.view import View


def jobs(view: View, page: Page) -> tuple[list[JobView], str]:
    """The jobs of a page, by name; and the name of the last, if there are more."""
    names = view.job_names()
    first = bisect_right(names, page.after)
    last = first + (page.limit or sys.maxsize)
    views = [_job(view, record) for name in names[first:last] if (record := view.job_record(name)) is not None]
    return views, views[-1].name if views and last < len(names) else ""


def job(view: View, name: str) -> JobView:
    """Raises NotFound."""
    return _job(view, _record(view, name))


def versions(view: View, name: str) -> list[VersionView]:
    """Those that are kept, the newest first. Raises NotFound."""
    record = _record(view, name)
    rollout, current = record.rollout, record.latest
    specs = {**(rollout.specs if rollout else {}), current.version: current.task}
    running = [
        each.job_version for each in counts.active_of(record) if each.status.state is AllocationState.RUNNING
    ]
    table = view.of(Deployments)
    failed, healthy = table.failed(current), {*table.proven(current), rollout.healthy if rollout else NO_VERSION}
    return [
        VersionView(
            version=version,
            current=version == current.version,
            healthy=version in healthy,
            running=running.count(version),
            task=ShownFields(**{**fields_from_spec(specs[version]), "name": current.name}),
            failed=version in failed,
        )
        for version in sorted(specs, reverse=True)
    ]


def deployments(view: View, page: Page) -> tuple[list[DeploymentView], str]:
    """The newest first; `after` is the id of one of them."""
    rows = sorted(view.of(Deployments).rows.values(), key=lambda row: -row.id)
    if page.after:
        rows = [row for row in rows if row.id < int(page.after)]
    shown = rows[: page.limit or None]
    return [deployment_view(view, row) for row in shown], str(shown[-1].id) if len(shown) < len(rows) else ""


def deployment(view: View, key: int) -> DeploymentView:
    """Raises NotFound."""
    row = view.of(Deployments).get(key)
    if row is None:
        raise NotFound(
            f"there is no deployment {key}, or it ended long ago; 'orion history' tells of those of a job"
        )
    return deployment_view(view, row)


def deployment_view(view: View, row: Deployment) -> DeploymentView:
    record = view.job_record(row.job)
    if not row.running or record is None or record.job.created_index != row.created_index:
        progress, reason = None, row.reason
    else:
        progress = _progress(record, row)
        reason = row.reason or what_it_waits_for(
            record,
            row,
            lambda: waits_for_place(record),
            lambda: what_holds(view.job_record, record, row),
        )
    return DeploymentView(
        id=row.id,
        job=row.job,
        kind=row.kind.value,
        from_version=None if row.from_version == NO_VERSION else row.from_version,
        to_version=row.to_version,
        state=row.state.value,
        rolling_back=row.rolling_back,
        promoted=row.promoted,
        reason=reason,
        progress=progress,
        started_at=time_text(row.started_at_ms),
        ended_at=time_text(row.ended_at_ms),
        before=_version_before(view, row),
    )


def _version_before(view: View, row: Deployment) -> int | None:
    """Returns the version that the job was at when the deployment began, as far as those before it are kept."""
    former = [
        each
        for each in view.of(Deployments).of_job(row.job)
        if each.id < row.id and each.created_index == row.created_index
    ]
    return former[-1].goal if former else None


def _record(view: View, name: str) -> JobRecord:
    record = view.job_record(JobName(name))
    if record is None:
        raise NotFound(f"there is no job named {name}; 'orion jobs' lists them")
    return record


def _job(view: View, record: JobRecord) -> JobView:
    asked = record.latest
    total = counts.of_job(record)
    row = view.of(Deployments).latest(asked.name)
    return JobView(
        **job_fields(asked),  # type: ignore[arg-type]
        version=asked.version,
        created_index=asked.created_index,
        created_at=time_text(asked.created_at_ms),
        stopped=asked.stopped,
        removing=asked.stopping,
        active=total.active,
        running=total.running,
        ready=total.ready,
        waiting=record.open_count,
        updated=total.updated,
        reason=job_reason(record, row, total),
        deployment=deployment_view(view, row) if row and row.created_index == asked.created_index else None,
        **render_cron.of_job(view, asked),
    )


def _progress(record: JobRecord, row: Deployment) -> DeploymentProgress:
    wanted = [each for each in counts.active_of(record) if each.wanted]
    ready = [each for each in wanted if record.is_ready(each)]
    return DeploymentProgress(
        tasks=record.job.count,
        updated=sum(each.job_version == row.goal for each in wanted),
        ready=sum(each.job_version == row.goal for each in ready),
        available=len(ready),
    )
