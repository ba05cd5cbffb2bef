"""Why a task is not as asked, in JSON for programs: how far its pull is, and why it has no node."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.after import Condition, Gap
from orion.model.api.fields import schema
from orion.model.volumes import VolumeGap


class ProgressView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How far the pull of an image has come."""

    phase: Annotated[
        str, schema("`resolving`: its size is not known yet.", enum=["resolving", "downloading", "unpacking"])
    ]
    done_bytes: int
    total_bytes: Annotated[int, Meta(description="Grows while the engine learns of further layers.")]


class ShortageView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Nodes that have less of a resource free than the task needs. Cores, or bytes."""

    nodes: int
    needs: float
    most_free: Annotated[float, Meta(description="What the best of these nodes has.")]


class PortShortageView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Nodes on which a host port is not free."""

    host_port: Annotated[int, Meta(description="0: any that Orion may choose.")]
    protocol: str
    holder: Annotated[
        str,
        schema(
            "A task has it, or Orion itself listens on it; of a range to choose from, none is free.",
            enum=["task", "orion", "range"],
        ),
    ]
    nodes: int


class JobWaitView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A job that a task waits for."""

    job: str
    condition: Annotated[str, schema(enum=[*Condition])]
    why: Annotated[
        str,
        schema(
            "`not yet`; `absent`: there is none; `stopped`; `failed`: for good; `ended`: so nothing of it will be "
            "healthy; `endless`: a system job never completes; `cron`: its runs are jobs of their own; `unsure`: "
            "none of its nodes confirms it.",
            enum=[*Gap],
        ),
    ]
    since: Annotated[str | None, Meta(description="RFC 3339, UTC.")]


class VolumeWaitView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The volume that keeps a task from other nodes."""

    volume: str
    node_id: Annotated[str, Meta(description="The node that has it.")]
    why: Annotated[
        str,
        schema(
            "`down`, `away` (stopped on purpose), `draining`, `engine` (none answers) or `gone` is its node; "
            "`rules` of the task exclude it, it has no `room`; another volume of the task is elsewhere "
            "(`apart`), it is `moving`, or "
            "there are as many volumes as there can be (`most`).",
            enum=[*VolumeGap],
        ),
    ]
    since: Annotated[str | None, Meta(description="RFC 3339, UTC.")]


class PlacementFailureView(msgspec.Struct, frozen=True, rename="camel"):
    """Why no node takes a task. Each node is counted once, under the first that keeps the task from it."""

    nodes: Annotated[int, Meta(description="All of them.")]
    nodes_filtered: Annotated[
        dict[str, int],
        Meta(
            description="How many are `away` (stopped on purpose), `down`, `draining`, without a container engine "
            "that answers (`engine`), lack one of the labels asked for (`labels`), do not pass one of the "
            "`constraints`, run no task of the job `alongside` which it is to be, or have as many of its job as "
            "they may (`perNode`)."
        ),
    ]
    resources_short: Annotated[
        dict[str, ShortageView], Meta(description="Those with too little `cpu`, `memory` or `disk` left.")
    ]
    ports_taken: list[PortShortageView]
    waits_for: Annotated[
        list[JobWaitView], Meta(description="Jobs that come first. While there are any, no node was looked at.")
    ] = []
    volume: Annotated[
        VolumeWaitView | None, Meta(description="With one only the node that has it was looked at.")
    ] = None
