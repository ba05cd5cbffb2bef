"""A deployment in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema
from orion.model.deployment import DeploymentKind, DeploymentState


class DeploymentProgress(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How far a deployment has come."""

    tasks: Annotated[int, Meta(description="All of the job.")]
    updated: Annotated[int, Meta(description="Tasks of the version that it leads to.")]
    ready: Annotated[int, Meta(description="Of these, those that may be used.")]
    available: Annotated[int, Meta(description="Tasks that may be used, of any version.")]


class DeploymentView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The way of a job from one version to another."""

    id: int
    job: str
    kind: Annotated[str, schema(enum=[*DeploymentKind])]
    from_version: Annotated[int | None, Meta(description="What a failure leads back to.")]
    to_version: int
    state: Annotated[str, schema(enum=[*DeploymentState])]
    rolling_back: Annotated[bool, Meta(description="It has failed, and is on its way back.")]
    promoted: Annotated[bool, Meta(description="The rest follows its canaries.")]
    reason: Annotated[str, Meta(description="Why it failed or what it waits for, for people.")]
    progress: Annotated[DeploymentProgress | None, Meta(description="While it runs.")]
    started_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    ended_at: str | None
    before: Annotated[int | None, Meta(description="The version that the job was at, where that is known.")] = None
