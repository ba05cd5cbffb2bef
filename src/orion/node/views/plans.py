"""A job that is asked for, beside the one that is there: what would change, and why it can't be."""

from collections.abc import Iterator
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from orion.model.api.job_codec import job_fields
from orion.model.api.jobs import JobFields
from orion.model.api.plans import FieldChange, PlanView
from orion.model.deployment import DeploymentKind
from orion.model.errors import FieldError, Invalid
from orion.model.job import Job, JobKind
from orion.model.update import UpdateOrder, UpdatePolicy
from orion.node.views.rehearsal import Outcome
from orion.scheduler.pools import Pools
from orion.scheduler.room import no_room
from orion.state.job_record import JobRecord
from orion.state.rollouts import next_version
from orion.state.view import View

MAX_CHANGES = 100
MAX_SHOWN = 200  # characters of a value
_NOTHING = object()


def refuse_infeasible(view: View, job: Job) -> None:
    """Raises Invalid for an update that would wait for ever: there is never room to start first, or no task may be
    missed while there is none.
    """
    record = _former(view, job)
    if record is None or job.task == record.job.task or not job.count or job.kind is JobKind.BATCH:
        return
    slots = map(record.history, range(min(job.count, len(record.slots))))
    replaced = sum(any(each.wanted and not each.terminal for each in slot) for slot in slots)
    policy = job.update or UpdatePolicy()
    first, last = policy.order is UpdateOrder.START_FIRST, policy.order is UpdateOrder.STOP_FIRST
    keeps_all = policy.floor(job.count, stop_first=True) >= job.count
    if not replaced or not (first or keeps_all):
        return
    why = "" if last else no_room(view, record, _as_it_would_be(record, job), Pools())
    if first and why:
        raise Invalid(
            (
                FieldError(
                    "/update/order",
                    f"start-first can't be: beside the tasks that run one more {why}; write stop-first or auto",
                ),
            )
        )
    if keeps_all and replaced >= job.count and (last or why):
        because = "stop-first" if last else f"without room for one more task ({why})"
        raise Invalid(
            (
                FieldError(
                    "/update/minAvailable",
                    f"minAvailable {policy.min_available:,} of {job.count:,} tasks can't be kept {because}: no task"
                    f" could ever be replaced; give {max(0, job.count - 1):,} or less",
                ),
            )
        )


class Before(msgspec.Struct, frozen=True):
    """The part of the state before that a plan needs. `no_room`: why one more task of the job as it is asked for
    finds no place; "" when it does.
    """

    latest: Job | None
    no_room: str


def look(view: View, job: Job) -> Before:
    """Raises Invalid as `refuse_infeasible`."""
    refuse_infeasible(view, job)
    record = _former(view, job)
    if record is None:
        return Before(None, "")
    return Before(record.latest, no_room(view, record, _as_it_would_be(record, job), Pools()))


def plan_view(before: Before, job: Job, outcome: Outcome) -> PlanView:
    """`outcome`: what came of the job in a copy of the state."""
    latest = before.latest
    changes = list(_changes(latest, job))
    shown = PlanView(
        job=job.name,
        kind=_kind(outcome, latest, job, changed=bool(changes)),
        version=latest.version if latest else None,
        changes=changes,
        order=outcome.order,
        order_reason=_order_reason(before.no_room, job, outcome),
        starts=outcome.starts,
        start_nodes=outcome.start_nodes,
        stops=outcome.stops,
        waits=outcome.waits,
        ends=outcome.ends,
        reason=outcome.reason,
        warnings=list(_warnings(job, outcome)),
        token="",
    )
    return replace(shown, token=_token(latest, job, shown))


def _former(view: View, job: Job) -> JobRecord | None:
    """The job that would be changed."""
    record = view.job_record(job.name)
    return None if record is None or record.latest.stopping else record


def _as_it_would_be(record: JobRecord, job: Job) -> Job:
    return replace(job, version=next_version(record), created_index=record.job.created_index)


def _kind(outcome: Outcome, latest: Job | None, job: Job, *, changed: bool) -> str:
    if latest is None:
        return "create"
    if outcome.kind is None:  # a cron job is changed without a deployment
        return "update" if changed and job.kind is JobKind.CRON else "unchanged"
    if outcome.kind is DeploymentKind.SCALE:
        return "scale" if latest.count != job.count else "settings"
    return "update"


def _order_reason(why: str, job: Job, outcome: Outcome) -> str:
    if not outcome.order:
        return ""
    if job.update is not None and job.update.order is not UpdateOrder.AUTO:
        return "as its update.order says"
    if any(each.name and not each.read_only for each in job.task.volumes):
        return "its volumes have one writer at a time"
    if outcome.order == "start-first":
        return "there is room for one more task"
    return f"one more task beside those that run {why}" if why else "there is not room for all that start at a time"


def _warnings(job: Job, outcome: Outcome) -> Iterator[str]:
    if job.kind is JobKind.SERVICE and job.count and job.task.health is None and outcome.kind is not None:
        ready = "its port accepts" if job.task.tells_ready else "it has run for update.monitorSeconds"
        yield f"{job.name} has no health check: ready means that {ready}"
    if outcome.order == "stop-first" and job.count == 1:
        yield f"{job.name} has one task: nothing serves from its end until the new one is ready"


def _changes(latest: Job | None, job: Job) -> Iterator[FieldChange]:
    if latest is None:
        return
    found = sorted(_differences("", _shown(latest), _shown(job)))
    yield from (FieldChange(*each) for each in found[:MAX_CHANGES])
    if more := found[MAX_CHANGES:]:
        yield FieldChange("…", "", f"and {len(more):,} more")


def _shown(job: Job) -> object:
    """Returns the job's fields, those of a job that is asked for as those of one that was stored: msgspec leaves a
    text out when it is the very object of the default, which one that was decoded is not.
    """
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=Job)
    return msgspec.to_builtins(JobFields(**job_fields(stored)))  # type: ignore[arg-type]


def _differences(path: str, old: object, new: object) -> Iterator[tuple[str, str, str]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            where = f"{path}.{key}" if path else str(key)
            yield from _differences(where[:MAX_SHOWN], old.get(key, _NOTHING), new.get(key, _NOTHING))
        return
    yield path, _text(old), _text(new)


def _text(value: object) -> str:
    if value is _NOTHING:
        return ""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _token(latest: Job | None, job: Job, shown: PlanView) -> str:
    """Another one when the job, what is asked for, or what would come of it is another."""
    of = latest.created_index if latest else 0
    asked = replace(job, created_at_ms=0)
    result = (shown.kind, shown.version, shown.order, shown.starts, shown.stops, shown.waits, shown.ends)
    return blake2b(msgspec.msgpack.encode((of, latest, asked, result)), digest_size=12).hexdigest()
