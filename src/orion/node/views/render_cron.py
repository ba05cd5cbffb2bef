"""Runs of cron jobs into what the API shows."""

from typing import Any

from orion.model.api.schedule_fields import RunView
from orion.model.firing import Firing
from orion.model.job import Job, JobKind
from orion.node.views.render import time_text
from orion.state.tables.cron_rows import Crons
from orion.state.view import View


def of_job(view: View, job: Job) -> dict[str, Any]:
    """The fields of a JobView that only a cron job, or a run of one, has."""
    if job.kind is not JobKind.CRON or job.schedule is None:
        return {"run_of": job.cron} if job.cron else {}
    row = view.of(Crons).get(job.name)
    if row is None or row.created_index != job.created_index:
        return {}
    shown = {"last_run": run_view(row.firings[-1])} if row.firings else {}
    return {**shown, "next_at": None if job.stopped else _next_at(job, row.last_ms)}


def _next_at(job: Job, last_ms: int) -> str | None:
    # Loaded with the first cron job.
    from orion.model.cron_times import times, zone_of

    assert job.schedule is not None
    zone = zone_of(job.schedule.time_zone)
    return time_text(next(times(job.schedule, zone, last_ms), 0)) if zone is not None else None


def run_view(firing: Firing) -> RunView:
    return RunView(
        at=time_text(firing.at_ms),
        outcome=firing.outcome.value,
        job=firing.job,
        exit_code=firing.exit_code,
        started_at=time_text(firing.started_ms),
        ended_at=time_text(firing.ended_ms),
        reason=firing.reason,
        by_hand=firing.by_hand,
        count=firing.count,
        to=time_text(firing.to_ms),
    )
