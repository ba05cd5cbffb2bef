"""A job in JSON into a Job, and back."""

from orion.model.api.codec import fields_from_spec, refuse_name, spec_from_fields
from orion.model.api.fields import Reading
from orion.model.api.jobs import MAX_TASKS, JobRequest
from orion.model.api.placement_fields import read_priority
from orion.model.api.schedule_fields import read_schedule, show_schedule
from orion.model.api.update_fields import read_update, show_update
from orion.model.errors import FieldError, FieldErrors, Invalid
from orion.model.ids import JobName
from orion.model.job import Job, JobKind, RestartMode
from orion.model.schedule import MAX_CRON_NAME
from orion.model.update import UpdatePolicy


def job_from_job_request(request: JobRequest, name: str, at_ms: int) -> Job:
    """The job that `request` asks for. Raises Invalid with an entry for each wrong field."""
    errors = FieldErrors()
    refuse_name(name, errors)
    spec = spec_from_fields(request, errors)
    if request.name not in ("", name):
        Reading(request, "name", errors).wrong(f"name {request.name} is not {name}, which the address has")
    if not 0 <= request.count <= MAX_TASKS:
        Reading(request, "count", errors).wrong(f"count is {request.count:,}: give 0 to {MAX_TASKS:,}")
    kind = _kind(request, name, errors)
    schedule = read_schedule(request.schedule, at_ms, Reading(request, "schedule", errors))
    policy = read_update(request.update, Reading(request, "update", errors))
    priority = read_priority(request.priority, Reading(request, "priority", errors))
    if errors or spec is None:
        raise Invalid(errors)
    count = 0 if kind is JobKind.SYSTEM else request.count
    return Job(
        JobName(name),
        kind,
        count,
        spec,
        created_at_ms=at_ms,
        update=policy,
        priority=priority,
        schedule=schedule,
    )


def _kind(request: JobRequest, name: str, errors: FieldErrors) -> JobKind:
    kinds = [kind.value for kind in JobKind]
    if request.kind not in kinds:
        known = f"{', '.join(kinds[:-1])} or {kinds[-1]}"
        Reading(request, "kind", errors).wrong(f"kind {request.kind[:80]!r} is unknown: write {known}")
        return JobKind.SERVICE
    kind = JobKind(request.kind)
    if kind is JobKind.CRON and request.schedule is None:
        Reading(request, "schedule", errors).wrong(
            'a cron job needs a schedule, as in {"expression": "30 3 * * *"}'
        )
    if kind is not JobKind.CRON and request.schedule is not None:
        Reading(request, "schedule", errors).wrong(f'a {kind} job has no schedule: write "kind": "cron" with it')
    if kind is JobKind.CRON and len(name) > MAX_CRON_NAME:
        message = f"name has {len(name)} characters; that of a cron job at most {MAX_CRON_NAME}"
        errors.append(FieldError("/name", message))
    if kind is JobKind.CRON and request.ingress:
        Reading(request, "ingress", errors).wrong("a cron job's runs can't have ports on every node: leave it out")
    if kind in (JobKind.BATCH, JobKind.CRON) and request.restart_policy == RestartMode.ALWAYS:
        Reading(request, "restart_policy", errors).wrong(
            f"a {kind} job ends, which restartPolicy always never lets it"
        )
    return kind


def job_fields(job: Job) -> dict[str, object]:
    """The JobFields that say what `job` does."""
    return {
        **fields_from_spec(job.task),
        "name": job.name,
        "kind": job.kind.value,
        "count": job.count,
        "priority": job.priority,
        "schedule": show_schedule(job.schedule),
        "update": show_update(job.update or UpdatePolicy()),
    }
