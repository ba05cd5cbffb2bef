"""The cluster's rows as `GET /watch` sends them: short ones of what may be thousands, views of the rest."""

import enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orion.model.api.configs import ConfigView
from orion.model.api.deployments import DeploymentView
from orion.model.api.network import NetworkSummaryView
from orion.model.api.nodes import NodeView
from orion.model.api.volumes import VolumeView

MOST_LABELS = 16  # that a row has: rows are many
LONGEST_LABEL = 256  # characters, its name too


class Noun(enum.StrEnum):
    """Kinds of rows."""

    NODES = "nodes"
    JOBS = "jobs"
    TASKS = "tasks"
    ALLOCATIONS = "allocations"
    DEPLOYMENTS = "deployments"
    VOLUMES = "volumes"
    NETWORKS = "networks"
    CONFIGS = "configs"


class JobRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True, gc=False):
    """A job, and what has become of it. The fields are those of a JobView."""

    name: str
    kind: str
    image: str
    version: int
    count: int
    priority: int = 50
    active: int = 0
    running: int = 0
    ready: int = 0
    waiting: int = 0
    updated: int = 0
    stopped: bool = False
    removing: bool = False
    reason: str = ""
    created_at: str | None = None
    deployment: Annotated[str, Meta(description="The state of its last one.")] = ""
    schedule: Annotated[str, Meta(description="Of a cron job.")] = ""
    next_at: str | None = None
    run_of: str = ""
    outcome: Annotated[str, Meta(description="Of a batch job that has ended: completed or failed.")] = ""
    labels: Annotated[
        dict[str, str],
        Meta(
            description=f"Those of its tasks' containers: the first {MOST_LABELS}, without any that is longer than"
            f" {LONGEST_LABEL} characters."
        ),
    ] = {}


class TaskRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True, gc=False):
    """A task and its run that counts. The fields are those of a TaskView and of that run's AllocationView."""

    id: str
    job: str
    state: str
    image: str
    version: int
    reason: str = ""
    node_id: str = ""
    address: str = ""
    ports: dict[str, str] = {}
    cpu: Annotated[float, Meta(description="Cores that it has reserved.")] = 0.0
    memory: Annotated[int, Meta(description="Bytes that it has reserved.")] = 0
    allocation: Annotated[str, Meta(description="The id of its run.")] = ""
    health: str = "none"
    ready: Annotated[bool, Meta(description="It may be used.")] = False
    restarts: int = 0
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    placed_at: Annotated[str | None, Meta(description="When its run was made.")] = None


class AllocationRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True, gc=False):
    """A run of a task. The fields are those of an AllocationView."""

    id: str
    task: str
    node_id: str
    state: str
    version: int
    reason: str = ""
    health: str = "none"
    ready: bool = False
    wanted: Annotated[bool, Meta(description="It is not told to end.")] = False
    restarts: int = 0
    exit_code: int | None = None
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    container_name: str = ""


Row = NodeView | JobRow | TaskRow | AllocationRow | DeploymentView | VolumeView | NetworkSummaryView | ConfigView

# Of each noun: its rows, and the field by which they are known.
ROWS: dict[Noun, tuple[type[Any], str]] = {
    Noun.NODES: (NodeView, "name"),
    Noun.JOBS: (JobRow, "name"),
    Noun.TASKS: (TaskRow, "id"),
    Noun.ALLOCATIONS: (AllocationRow, "id"),
    Noun.DEPLOYMENTS: (DeploymentView, "id"),
    Noun.VOLUMES: (VolumeView, "name"),
    Noun.NETWORKS: (NetworkSummaryView, "name"),
    Noun.CONFIGS: (ConfigView, "key"),
}


def key_of(noun: Noun, row: Row) -> str:
    """Returns what a row is known by among those of its noun."""
    return str(getattr(row, ROWS[noun][1]))


class RowsMessage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message of `GET /watch`: rows that are new or others than before, and the keys of those that are gone."""

    noun: Annotated[str, Meta(description="Such as tasks.")]
    rows: list[msgspec.Raw] = []
    gone: list[str] = []
    begins: Annotated[bool, Meta(description="All rows of the noun follow: none that was there before counts.")] = (
        False
    )


class CurrentMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message of `GET /watch`: all that came before it is the state at one index."""

    index: int
    leader: Annotated[str, Meta(description="The node that leads, as the node asked knows; empty: none.")] = ""
