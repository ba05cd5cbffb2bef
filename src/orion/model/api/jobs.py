"""A job in JSON: its tasks' fields, and beside them what only a job has."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from orion.model.api.container.network import ContainerFields
from orion.model.api.deployments import DeploymentView
from orion.model.api.fields import always, schema, shown_always
from orion.model.api.schedule_fields import RunView, ScheduleRequest
from orion.model.api.tasks import ShownFields, TaskFields
from orion.model.api.update_fields import UpdateRequest
from orion.model.job import JobKind

MAX_TASKS = 1_000_000  # of one job


class JobFields(TaskFields, frozen=True, rename="camel"):
    """How a job is to be run."""

    kind: Annotated[
        str,
        schema(
            "service: runs until it is stopped; batch: until each task has completed once; system: a task on each "
            "node that matches; cron: a batch at each of its times.",
            enum=[*JobKind],
        ),
    ] = JobKind.SERVICE.value
    schedule: Annotated[ScheduleRequest | None, Meta(description="Of a cron job.")] = None
    count: Annotated[int, schema("Tasks.", minimum=0, maximum=MAX_TASKS)] = 1
    update: Annotated[UpdateRequest, Meta(description="How tasks come to another version.")] = UpdateRequest()


class JobRequest(JobFields, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `PUT /jobs/{name}`. The name in it may be left out."""


if TYPE_CHECKING:
    _ShownJob = JobFields
else:
    _ShownJob = shown_always(JobFields, but=ContainerFields)


class JobView(_ShownJob, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """A job as it is asked for, and what has become of that."""

    version: Annotated[int, Meta(description="Grows with each change of how its tasks are run.")]
    created_index: Annotated[int, Meta(description="Tells it from others of its name.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    stopped: Annotated[bool, Meta(description="Kept, with nothing of it running, until it is started.")]
    removing: Annotated[bool, Meta(description="It is gone once its last task has ended.")]
    active: Annotated[int, Meta(description="Runs that have not ended, those that are told to end too.")]
    running: Annotated[int, Meta(description="Tasks whose program runs, of any version.")]
    ready: Annotated[int, Meta(description="Of these, those that may be used.")]
    waiting: Annotated[int, Meta(description="Tasks without a node.")]
    updated: Annotated[int, Meta(description="Tasks of the present version that run.")]
    reason: Annotated[str, Meta(description="Why it is not as asked, for people.")]
    deployment: Annotated[DeploymentView | None, Meta(description="The last one.")] = always(None)
    next_at: Annotated[str | None, Meta(description="Of a cron job: when it runs next. RFC 3339, UTC.")] = always(
        None
    )
    last_run: Annotated[RunView | None, Meta(description="Of a cron job.")] = always(None)
    run_of: Annotated[str, Meta(description="The cron job that this is a run of.")] = always("")
    notes: Annotated[
        list[str], Meta(description="Of a change: what it could not find out, or did in another way, for people.")
    ] = msgspec.field(default_factory=list)


def request_of(view: JobView, fields: Mapping[str, Any]) -> JobRequest:
    """Returns the request that asks for the job as it is, but for these fields."""
    names = [info.name for info in msgspec.structs.fields(JobRequest)]
    return JobRequest(**{**{name: getattr(view, name) for name in names}, **fields})


class CountRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `PUT /jobs/{name}/count`."""

    count: Annotated[int, schema("Tasks.", minimum=0, maximum=MAX_TASKS)]


class VersionView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A version of a job that is kept."""

    version: int
    current: Annotated[bool, Meta(description="The one that the job is asked for in.")]
    healthy: Annotated[bool, Meta(description="The last one all tasks of which were ready.")]
    running: Annotated[int, Meta(description="Tasks of it whose program runs.")]
    task: Annotated[ShownFields, Meta(description="How its tasks are run.")]
    failed: Annotated[bool, Meta(description="A deployment to it has failed, and none since has come to its end.")]
