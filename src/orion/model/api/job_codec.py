"""A job in JSON into a Job, and back."""

from orion.model.api.codec import fields_from_spec, refuse_name, spec_from_fields
from orion.model.api.fields import Reading
from orion.model.api.jobs import MAX_TASKS, JobRequest
from orion.model.api.placement_fields import read_priority
from orion.model.api.update_fields import read_update, show_update
from orion.model.errors import FieldErrors, Invalid
from orion.model.ids import JobName
from orion.model.job import Job, JobKind
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
    if request.kind not in (JobKind.SERVICE, JobKind.BATCH):
        Reading(request, "kind", errors).wrong(f"kind {request.kind[:80]!r} is unknown: write service or batch")
    policy = read_update(request.update, Reading(request, "update", errors))
    priority = read_priority(request.priority, Reading(request, "priority", errors))
    if errors or spec is None:
        raise Invalid(errors)
    kind = JobKind(request.kind)
    return Job(JobName(name), kind, request.count, spec, created_at_ms=at_ms, update=policy, priority=priority)


def job_fields(job: Job) -> dict[str, object]:
    """The JobFields that say what `job` does."""
    return {
        **fields_from_spec(job.task),
        "name": job.name,
        "kind": job.kind.value,
        "count": job.count,
        "priority": job.priority,
        "update": show_update(job.update or UpdatePolicy()),
    }
