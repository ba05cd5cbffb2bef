"""A job, which is the user's wish for `count` equal tasks."""

import enum
from typing import Annotated

import msgspec

from orion.model.after import After
from orion.model.container_options import ContainerOptions
from orion.model.health import HealthCheck, TaskHooks, UnhealthyAction
from orion.model.ids import JobName, NodeId
from orion.model.levels import since
from orion.model.network import DEFAULT, OVERLAY_KIND, OVERLAY_LABEL, NetworkAlias
from orion.model.placement_rules import PlacementRules
from orion.model.resources import Resources
from orion.model.schedule import Schedule
from orion.model.update import UpdatePolicy
from orion.model.volumes import VolumeMount


@since(2, "SYSTEM", "CRON")
class JobKind(enum.StrEnum):
    SERVICE = "service"  # runs until stopped
    BATCH = "batch"  # runs until it has completed
    SYSTEM = "system"  # a task on each node that matches
    CRON = "cron"  # runs nothing by itself: at each of its times a batch job of its own begins


class RestartMode(enum.StrEnum):
    """The modes of `docker run --restart`, without unless-stopped: a stop changes the job instead."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class RestartPolicy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rule for a program that has ended. `max_restarts` bounds the restarts of one allocation on its node; 0 is
    no limit. Waits between them double from one second to a minute, with jitter. A run of ten minutes resets the
    count.
    """

    mode: RestartMode = RestartMode.ON_FAILURE
    max_restarts: int = 0


class Placement(enum.StrEnum):
    """The choice among the nodes that fit."""

    SPREAD = "spread"  # the least loaded
    PACK = "pack"  # the fullest, so that whole nodes stay free for large tasks


class PortBinding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A container's port that is open on its node. `host_port` 0 asks for one from 20000-32767, which is chosen
    when the task is placed. It is open on the node's address `host_ip` only, or on all when that is empty. It
    counts as taken on all of them either way.
    """

    container_port: int
    protocol: str  # "tcp" or "udp"
    host_port: int = 0
    host_ip: str = ""

    def __str__(self) -> str:
        return f"{self.container_port}/{self.protocol}"


DYNAMIC_PORTS = range(20_000, 32_768)


class IngressBinding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A port that is open on every node of the cluster's network, and leads to `container_port` of a task that is
    ready. With `sticky` a client's connections go to one task while that is ready.
    """

    port: int
    container_port: int
    protocol: str  # "tcp" or "udp"
    sticky: bool = False

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


class ConfigRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A config as the variable `env`, or as a file at `path` with the permissions `mode` and the numbers of its
    owner and group; the other is empty. `version` 0: what is there when the container is made.
    """

    key: str
    env: str = ""
    path: str = ""
    mode: int = 0
    version: Annotated[int, since(2)] = 0
    uid: Annotated[int, since(2, words="owners of a config's file")] = 0
    gid: Annotated[int, since(2)] = 0


DRAIN_MS = 2_000  # of a task with ports, if it says nothing else


class TaskSpec(msgspec.Struct, frozen=True, array_like=True):
    """The description of one task, by which it is run. An empty `command` means the image's own."""

    image: str
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()  # sorted by name
    resources: Resources = Resources()
    ports: tuple[PortBinding, ...] = ()  # sorted by container port, then protocol
    constraints: tuple[tuple[str, str], ...] = ()  # node labels that must be equal; sorted
    restart: RestartPolicy = RestartPolicy()
    stop_grace_ms: int = 10_000
    configs: tuple[ConfigRef, ...] = ()  # as asked for
    placement: Placement | None = None  # None: as the cluster has it (model/settings.py)
    # As in docker run -u; empty: the image's.
    user: Annotated[str, since(2, words="tasks whose program runs as a user")] = ""
    # As in docker run --hostname; empty: the engine's choice.
    hostname: Annotated[str, since(2, words="host names of tasks")] = ""
    health: Annotated[HealthCheck | None, since(2)] = None
    hooks: Annotated[TaskHooks | None, since(2)] = None
    drain_ms: Annotated[int | None, since(2)] = None  # None: see `drain_time_ms`
    # Beside `constraints` and `placement`.
    rules: Annotated[PlacementRules | None, since(2, words="rules for the nodes of tasks")] = None
    # None: all as by default.
    options: Annotated[ContainerOptions | None, since(2, words="options of tasks' containers")] = None
    after: Annotated[tuple[After, ...], since(2, words="order between jobs")] = ()  # other jobs, each once
    # Each once, the one first by which it leaves them; empty: the default one.
    networks: Annotated[tuple[str, ...], since(2, words="several networks")] = ()
    # Sorted by port, then protocol.
    ingress: Annotated[tuple[IngressBinding, ...], since(2, words="ports that are published on every node")] = ()
    # Jobs whose tasks may open connections to it, beside its own job's, each once; empty: all jobs.
    allow_from: Annotated[tuple[JobName, ...], since(2, words="who may reach a job")] = ()
    volumes: Annotated[tuple[VolumeMount, ...], since(2)] = ()  # as asked for, each target once
    # Other names of its job, each once.
    aliases: Annotated[tuple[NetworkAlias, ...], since(2, words="other names of a job")] = ()
    # After its node has lost the cluster for so long it ends, 0: never; None: as its volumes have it
    # (model/claims.py).
    stop_after_disconnect_ms: Annotated[
        int | None, since(2, words="tasks that end when their node has lost the cluster")
    ] = None

    @property
    def has_volumes(self) -> bool:
        """It has data that is somewhere, so that it can't go anywhere."""
        return bool(self.volumes) and any(each.name for each in self.volumes)

    @property
    def writes_volumes(self) -> bool:
        """No two tasks of one slot may run at a time: both would write to its volumes."""
        return bool(self.volumes) and any(each.name and not each.read_only for each in self.volumes)

    def writes_volume(self, name: str, index: int) -> bool:
        return any(each.name and not each.read_only and each.volume_of(index) == name for each in self.volumes)

    def volume_names(self, index: int) -> tuple[str, ...]:
        """The volumes of a slot, each once, sorted."""
        if not self.volumes:
            return ()
        return tuple(sorted({each.volume_of(index) for each in self.volumes if each.name}))

    @property
    def on_cluster_network(self) -> bool:
        """Its containers have addresses of the cluster's own network, where their nodes have it."""
        apart = self.options is not None and self.options.network_mode
        beside = self.rules is not None and self.rules.alongside is not None and self.rules.alongside.network
        return not (apart or beside)

    @property
    def network_names(self) -> tuple[str, ...]:
        """The cluster's networks that its containers are on, where their nodes have them."""
        return (self.networks or (DEFAULT,)) if self.on_cluster_network else ()

    @property
    def needs_addresses(self) -> bool:
        """It does not start without an address on each of its networks."""
        return self.on_cluster_network and bool(self.networks or self.allow_from)

    @property
    def container_ports(self) -> tuple[tuple[int, str], ...]:
        """The published ports that its program listens on: numbers and protocols, each once, sorted."""
        if not self.ingress:
            return tuple((each.container_port, each.protocol) for each in self.ports)
        found = {(each.container_port, each.protocol) for each in self.ports}
        found |= {(each.container_port, each.protocol) for each in self.ingress}
        return tuple(sorted(found))

    @property
    def first_tcp_port(self) -> int:
        """The container's port that accepts once it is ready, if it has no health check; 0: none."""
        return next((port for port, protocol in self.container_ports if protocol == "tcp"), 0)

    @property
    def tells_ready(self) -> bool:
        """Its node says since when it is ready. Of any other task nothing is known but that it runs."""
        return bool(self.health or self.first_tcp_port or (self.hooks and self.hooks.post_start))

    @property
    def is_replaced(self) -> bool:
        """Another node is to run it when it is unhealthy."""
        return self.health is not None and self.health.action is UnhealthyAction.REPLACE

    @property
    def drain_time_ms(self) -> int:
        """The time between its end in the endpoints and the first word to its program to end: who uses it learns of
        it meanwhile.
        """
        if self.drain_ms is not None:
            return self.drain_ms
        return DRAIN_MS if self.ports or self.ingress else 0

    @property
    def end_time_ms(self) -> int:
        """The longest time from the word that it is to end to its kill."""
        return self.drain_time_ms + self.stop_grace_ms

    @property
    def node_labels(self) -> tuple[tuple[str, str], ...]:
        """The labels that its node must have: asked for, or needed by its options, its ports or its networks."""
        needed = self.options.node_labels if self.options is not None else ()
        if self.ingress or self.needs_addresses:
            needed = (*needed, (OVERLAY_LABEL, OVERLAY_KIND))
        return tuple(sorted({*self.constraints, *needed})) if needed else self.constraints


class Job(msgspec.Struct, frozen=True, array_like=True):
    """A job. `version` counts changes of the spec from 0. While `stopping` it is being removed: it is forgotten
    once its last allocation has ended. While `stopped` none of its tasks is wanted until it is started.
    `created_index` is the index of the log entry that created it, which tells it from a former job of its name;
    `apply` sets it, and it is 0 before.
    """

    name: JobName
    kind: JobKind
    count: int
    task: TaskSpec
    version: int = 0
    created_at_ms: int = 0
    stopping: bool = False
    created_index: int = 0
    stopped: bool = False
    # Who goes first when room is short: the higher one.
    priority: Annotated[int, since(2, words="priorities of jobs")] = 0
    update: Annotated[UpdatePolicy | None, since(2)] = None  # None: it was asked for as a task alone
    schedule: Annotated[Schedule | None, since(2, words="cron jobs")] = None
    cron: Annotated[JobName, since(2)] = JobName("")  # the cron job that this is a run of
    # Of a system job: the node of each slot, "" of one that has none.
    homes: Annotated[tuple[NodeId, ...], since(2, words="system jobs")] = ()
    # Of a batch job: it has completed, and nothing more is remembered of its tasks.
    collected: Annotated[bool, since(2)] = False

    @property
    def wanted(self) -> bool:
        return not (self.stopping or self.stopped)
