"""The questions that api/ may ask of a node, of every node alike: what needs the leader is forwarded, and a worker,
which holds no state, asks a voter. Errors are OrionErrors, ready to be shown.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from orion.model.api.checks import RunChecksView
from orion.model.api.cluster import RaftView
from orion.model.api.configs import ConfigView
from orion.model.api.deployments import DeploymentView
from orion.model.api.jobs import JobRequest, JobView, VersionView
from orion.model.api.network import (
    NetworkCheckView,
    NetworkDetailView,
    NetworkRequest,
    NetworkSummaryView,
    NetworkView,
)
from orion.model.api.nodes import NodeView
from orion.model.api.plans import PlanView
from orion.model.api.plugins import PluginView
from orion.model.api.rebalance import RebalanceView
from orion.model.api.storage import NewVolumeRequest, VolumeSnapshotView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.api.volumes import PrunedView, VolumeView
from orion.model.api.watch import Noun
from orion.model.configs import Config
from orion.model.container import LogQuery
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.figures import Figure
from orion.model.ids import NodeId
from orion.model.logs import LogItem, LogPosition
from orion.model.sessions import Purpose
from orion.model.stats import ContainerStats
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.services.sessions import Session
from orion.node.services.watch import WatchItem
from orion.state.core.table import KeyedTable

Row = TypeVar("Row")


class Health(msgspec.Struct, frozen=True):
    ready: bool
    detail: str


class PluginService(Protocol):
    async def find(self) -> list[PluginView]:
        """Storage plugins by name, as each node that is alive finds them now."""

    async def get(self, name: str) -> PluginView:
        """Raises NotFound."""


class ConfigService(Protocol):
    """`if_version`: change only what is at this version, 0: what does not exist; Conflict names the one it is at.
    A second change of the same key under the same `idempotency_key` is answered as the first was. Changes come with
    the index of their entry.
    """

    async def get(self, key: str, read: Read) -> tuple[Config | None, int]:
        """None when there is no such key; and the index of the state it was read from."""

    async def find(self, prefix: str, read: Read, page: Page = ALL) -> Listing:
        """ConfigViews of all whose key begins with `prefix`, by key."""

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        if_version: int | None,
        idempotency_key: str,
        timeout_s: float,
        folder: bool = False,
    ) -> tuple[ConfigView, int]:
        """`folder`: the value is a tar; Refused where it holds what no folder can have."""

    async def delete(
        self, key: str, *, if_version: int | None, idempotency_key: str, timeout_s: float
    ) -> tuple[ConfigView, int]:
        """Answers with what was deleted."""


class EndpointService(Protocol):
    """Where a job's tasks can be reached: those that are ready, or with `everything` all that run or are about to.
    Raises NotFound for a job that is not there.
    """

    async def find(self, job: str, read: Read, *, everything: bool = False) -> Listing:
        """EndpointViews, by task."""

    def watch(self, job: str, *, everything: bool = False) -> AsyncGenerator[bytes, None]:
        """The list as JSON, now and whenever it is another. Empty once the job is gone."""


class NetworkService(Protocol):
    """Changes are committed when they return. NotFound for a network that is not there."""

    async def find(self, read: Read) -> list[NetworkSummaryView]:
        """All of them, the default one first."""

    async def get(self, name: str, read: Read) -> NetworkDetailView: ...

    async def create(self, request: NetworkRequest, *, idempotency_key: str, timeout_s: float) -> NetworkDetailView:
        """Conflict when the name is taken."""

    async def remove(self, name: str, *, idempotency_key: str, timeout_s: float) -> None:
        """Conflict while it is in use."""


class VolumeService(Protocol):
    """Changes are committed when they return. NotFound for a volume that is not there."""

    async def find(self, after: str, limit: int, read: Read, *, sizes: bool = False) -> list[VolumeView]:
        """Those past the name `after`, by name. `sizes`: with what their nodes say of them."""

    async def get(self, name: str, read: Read) -> VolumeView: ...

    async def create(
        self, name: str, labels: dict[str, str], *, idempotency_key: str, timeout_s: float
    ) -> VolumeView:
        """Conflict when it is there with other labels."""

    async def remove(self, name: str, *, force: bool, idempotency_key: str, timeout_s: float) -> str:
        """Conflict while it is in use. Unavailable while its node does not answer, without `force`. Returns why its
        data is still there; "" when it is not.
        """

    async def prune(self, *, timeout_s: float) -> PrunedView: ...

    def backup(self, name: str, *, live: bool) -> AsyncGenerator[bytes, None]:
        """Its data as a tar with a digest. Conflict while a task has it, without `live`."""

    async def restore(self, name: str, to: NodeId, pieces: AsyncIterator[bytes], *, timeout_s: float) -> None:
        """Its data is that of such a tar when this returns; one that is not there is made. Conflict while a task
        has it. `to` "": where it is.
        """

    async def move(
        self, name: str, to: NodeId, *, cancel: bool, idempotency_key: str, timeout_s: float
    ) -> VolumeView:
        """Begins it. Conflict where it can't be. `to` "": where its tasks fit. `cancel`: calls it off."""


class StorageService(Protocol):
    """Volumes of storage systems and their snapshots. Changes are committed when they return; the leader has them
    carried out.
    """

    async def create(self, request: NewVolumeRequest, *, idempotency_key: str, timeout_s: float) -> VolumeView:
        """Any volume, one of a node too. Conflict when it is there with other terms."""

    async def expand(self, name: str, size_bytes: int, *, idempotency_key: str, timeout_s: float) -> VolumeView:
        """Conflict where that is less than it has."""

    async def snapshots(self, after: str, limit: int, read: Read) -> list[VolumeSnapshotView]:
        """Those past the name `after`, by name."""

    async def snapshot(self, name: str, read: Read) -> VolumeSnapshotView: ...

    async def take(
        self, volume: str, name: str, *, idempotency_key: str, timeout_s: float
    ) -> VolumeSnapshotView: ...

    async def remove_snapshot(self, name: str, *, force: bool, idempotency_key: str, timeout_s: float) -> None:
        """`force`: it is forgotten, and may be there still."""


class JobService(Protocol):
    """Changes are committed when they return, and answer with the job as it is then."""

    async def find(self, read: Read, page: Page = ALL) -> Listing:
        """JobViews, by name."""

    async def get(self, job: str, read: Read) -> tuple[JobView, int]: ...

    async def versions(self, job: str, read: Read) -> tuple[list[VersionView], int]:
        """Those that are kept, the newest first."""

    async def deployments(self, read: Read, page: Page = ALL) -> Listing:
        """DeploymentViews, the newest first."""

    async def deployment(self, deployment: int, read: Read) -> tuple[DeploymentView, int]: ...

    async def put(
        self,
        job: str,
        request: JobRequest,
        *,
        if_version: int,
        plan: str,
        idempotency_key: str,
        timeout_s: float,
    ) -> JobView:
        """`if_version`: only if it is at this version, -1: whichever; Conflict names the one it is at. `plan`: only
        as this plan's token says, if it is not empty. Invalid for an update that can't be.
        """

    async def plan(self, job: str, request: JobRequest, *, timeout_s: float) -> PlanView:
        """Says what `put` would do; it changes nothing."""

    async def set_count(self, job: str, count: int, *, timeout_s: float) -> JobView: ...

    async def roll_back(self, job: str, version: int, *, timeout_s: float) -> JobView:
        """`version` -1: the last that was healthy."""

    async def restart(self, job: str, *, timeout_s: float) -> JobView: ...

    async def promote(self, job: str, *, timeout_s: float) -> JobView: ...

    async def run(self, job: str, *, idempotency_key: str, timeout_s: float) -> JobView:
        """A cron job now, or again a batch job that has ended. Answers with the job that runs."""

    async def stop(self, job: str, *, timeout_s: float) -> JobView: ...

    async def start(self, job: str, *, timeout_s: float) -> JobView: ...

    async def delete(self, job: str, *, timeout_s: float) -> JobView:
        """Answers with the job as it was."""


class Service(Protocol):
    @property
    def configs(self) -> ConfigService: ...

    @property
    def endpoints(self) -> EndpointService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def networks(self) -> NetworkService: ...

    @property
    def volumes(self) -> VolumeService: ...

    @property
    def storage(self) -> StorageService: ...

    @property
    def plugins(self) -> PluginService: ...

    async def create_task(
        self, request: TaskRequest, *, idempotency_key: str, timeout_s: float, wait_running_s: float
    ) -> TaskView:
        """Committed when it returns. `wait_running_s` > 0: wait until it runs or has ended, or so long."""

    async def delete_task(self, task: str, *, created_index: int = 0, timeout_s: float) -> TaskView:
        """Stop and forget its job: only the one that was created at `created_index`, if that is not 0.

        Answers with the task as it is then: it is gone once its container has ended. Raises NotFound.
        """

    async def stop_task(self, task: str, *, timeout_s: float) -> TaskView:
        """Keep its job at zero. Conflict when it is being deleted."""

    async def start_task(self, task: str, *, timeout_s: float) -> TaskView:
        """Bring back what was stopped, or run again what has ended. Conflict as stop_task."""

    async def tasks(self, read: Read, page: Page = ALL) -> Listing:
        """TaskViews, by job and index."""

    async def task(self, task: str, read: Read) -> tuple[TaskView, int]: ...

    def logs(
        self, task: str, query: LogQuery, after: LogPosition | None = None, *, previous: bool = False
    ) -> AsyncGenerator[LogItem, None]:
        """The output of the newest run that has any. Followed, of all later ones too, with notices of what happened
        between and an end when the task has ended; from `after` on, which an earlier stream has come to.
        `previous`: of the run before the newest, which is not followed.
        """

    def session(self, task: str, purpose: Purpose) -> AbstractAsyncContextManager[Session]:
        """A session with the container of the task, of a job's name alone with that of its first that runs. Raises
        NotFound, Conflict where nothing runs, Unavailable where its node is gone.
        """

    def stats(self, task: str, *, follow: bool) -> AsyncGenerator[tuple[str, str, ContainerStats], None]:
        """Its use, with its allocation and its node: once, or every second or so. Raises as `session`."""

    async def checks(self, task: str, *, timeout_s: float) -> list[RunChecksView]:
        """The last results of the health check of each of its runs that has one, oldest run first. A node that
        can't be asked is a reason in the answer, no error.
        """

    async def network(self, *, timeout_s: float) -> NetworkView:
        """The cluster's own network. How a node's part of it is, that node says; one that can't be asked is a
        reason in the answer.
        """

    async def network_check(self, node: str, *, timeout_s: float) -> NetworkCheckView:
        """Has each node look which others it reaches by the network; `node` "" is all. A node that can't be asked
        is a reason in the answer. Raises NotFound for one that is not there.
        """

    async def nodes(self, read: Read, page: Page = ALL) -> Listing:
        """NodeViews, by name."""

    async def node(self, node: str, read: Read) -> tuple[NodeView, int]: ...

    async def label_node(self, node: str, labels: Mapping[str, str | None], *, timeout_s: float) -> NodeView:
        """Sets these labels, or takes away those of None, for good."""

    async def drain(self, node: str, *, draining: bool, timeout_s: float) -> NodeView: ...

    async def stop_node(self, node: str, *, timeout_s: float) -> NodeView:
        """A planned stop of one that is there and has no tasks; it has begun when this returns."""

    async def remove_node(self, node: str, *, timeout_s: float) -> None: ...

    async def row(self, table: type[KeyedTable[Any, Row]], key: str, read: Read) -> tuple[Row | None, int]:
        """A row of a table of the state, None where there is none; and the index of the state it was read from."""

    async def raft(self) -> RaftView: ...

    async def transfer_leader(self, to: str, *, timeout_s: float) -> RaftView:
        """`to` "" leaves the choice to the leader."""

    async def rebalance(self, *, dry_run: bool, max_moves: int, timeout_s: float) -> RebalanceView:
        """Moves tasks from the fullest nodes to the emptiest, or says which would move."""

    def backup(self, read: Read) -> AsyncGenerator[bytes, None]:
        """A file of the whole state at one index, in pieces (wire/backups.py)."""

    def events(
        self, after: tuple[int, int] | None, *, follow: bool, chosen: EventChoice = ALL_EVENTS
    ) -> AsyncGenerator[Event | None, None]:
        """From just past `after` (None: from now on, or everything remembered when not following, or when `chosen`
        asks for some of what was). None is yielded when events between were forgotten: look at the state again.
        """

    def watch(self, nouns: tuple[Noun, ...]) -> AsyncGenerator[WatchItem, None]:
        """All there is of these nouns, then whatever is new, another than before or gone; and wherever what was
        said is one state, that it is.
        """

    def health(self) -> Health: ...

    def metrics(self) -> list[Figure]: ...
