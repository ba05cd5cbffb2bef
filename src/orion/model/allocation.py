"""One run of a task on one node. What its node reports only moves forward; a replacement is a new allocation."""

import enum
from typing import Annotated

import msgspec
from msgspec.structs import replace

from orion.model.health import Health
from orion.model.ids import AllocationId, JobName, NodeId, allocation_text, task_id
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.model.pull import PullProgress, pull_text


class AllocationState(enum.StrEnum):
    SCHEDULED = "scheduled"  # placed by the leader, not yet seen by its node
    PULLING = "pulling"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETED = "completed"  # ended by itself with exit code 0 and is not to be restarted
    FAILED = "failed"  # ended or never began, and its restart policy gives up
    STOPPED = "stopped"  # ended because it was no longer wanted
    LOST = "lost"  # its node is down; nobody knows whether it still runs


_ACTIVE = (
    AllocationState.SCHEDULED,
    AllocationState.PULLING,
    AllocationState.STARTING,
    AllocationState.RUNNING,
)
_ENDS = (AllocationState.COMPLETED, AllocationState.FAILED, AllocationState.STOPPED, AllocationState.LOST)

# From -> to. A restart on the same node goes from running back to starting: the one step that is not
# forward, because the allocation, its node and its container stay the same.
TRANSITIONS: dict[AllocationState, frozenset[AllocationState]] = {
    AllocationState.SCHEDULED: frozenset(_ACTIVE[1:] + _ENDS),
    AllocationState.PULLING: frozenset(_ACTIVE[2:] + _ENDS),
    AllocationState.STARTING: frozenset((AllocationState.PULLING, AllocationState.RUNNING, *_ENDS)),
    AllocationState.RUNNING: frozenset((AllocationState.STARTING, *_ENDS)),
    AllocationState.COMPLETED: frozenset(),
    AllocationState.FAILED: frozenset(),
    AllocationState.STOPPED: frozenset(),
    # No report changes it. A node that is back goes on with what nothing has taken the place of
    # (state/tables/reconnect.py), and stops what else it still runs.
    AllocationState.LOST: frozenset(),
}

TERMINAL = frozenset(_ENDS)


STUCK_AFTER = 2  # starts that failed in a row; the second comes a second after the first


class AllocationStatus(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The state of an allocation as its node saw it. Times are wall-clock milliseconds of that node, 0 when not
    yet.
    """

    state: AllocationState = AllocationState.SCHEDULED
    reason: str = ""  # one sentence for a person; exit code and last log lines. While it pulls: the last error
    restarts: int = 0
    exit_code: int | None = None
    started_at_ms: int = 0
    finished_at_ms: int = 0
    address: str = ""  # the container's own address on its engine's network
    failed_starts: int = 0  # in a row: pulling, making or starting the container
    container: str = ""  # the engine's id of it, once there is one
    refused_port: int = 0  # a host port that Orion chose and that its machine does not give
    pull: Annotated[PullProgress | None, since(2)] = None  # while it pulls
    health: Annotated[Health, since(2)] = Health.NONE
    # With a health check since it is healthy, else with ports since its first one accepts; 0: not, or not known.
    ready_since_ms: Annotated[int, since(2)] = 0

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    def because(self, reason: str) -> "AllocationStatus":
        """As it is, with another reason: what was said of a pull is past."""
        return replace(self, reason=reason, pull=None)

    def reason_text(self, image: str) -> str:
        """`image`: what it runs, as its user named it."""
        return pull_text(image, self.pull, self.reason) if self.pull else self.reason


SCHEDULED = AllocationStatus()  # one value shared by all that were placed and not yet seen


class Allocation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One run of a task. `ports` are its host ports, in the order of the task spec's ports.

    `wanted` is false once the scheduler or a user has decided that this run is to end. `ran` is true once the
    task's program has started, in this run or in one before: its spec is then known to work. `ip` is its address
    on the first of its job's networks (model/network.py), 0 where it has none there; `more_ips` are those on the
    others, in their order.
    """

    id: AllocationId
    job: JobName
    job_version: int
    index: int
    node: NodeId
    ports: tuple[int, ...] = ()
    wanted: bool = True
    created_at_ms: int = 0
    status: AllocationStatus = SCHEDULED
    ran: bool = False
    ip: Annotated[int, since(2)] = 0
    more_ips: Annotated[tuple[int, ...], since(2)] = ()

    @property
    def text(self) -> str:
        """As logs name it: web/0 (41cfa230)."""
        return f"{task_id(self.job, self.index)} ({allocation_text(self.id)})"

    @property
    def addresses(self) -> tuple[int, ...]:
        """Those that it has, on whichever network."""
        if not self.more_ips:
            return (self.ip,) if self.ip else ()
        return tuple(filter(None, (self.ip, *self.more_ips)))

    def ready_since_ms(self, spec: TaskSpec) -> int:
        """Returns since when it is ready, so that others may rely on it; 0 when it is not. One of which its node
        says nothing counts as ready as soon as it runs: a deployment has it stay so for as long as its job says.
        """
        status = self.status
        if status.state is not AllocationState.RUNNING or status.health is Health.UNHEALTHY:
            return 0
        return status.ready_since_ms if spec.tells_ready else status.started_at_ms

    @property
    def stuck(self) -> bool:
        """True when its node can't start it as it is, so that another node or another port may do."""
        failed = self.status.failed_starts >= STUCK_AFTER or self.status.refused_port > 0
        return failed and self.wanted and not self.terminal

    @property
    def terminal(self) -> bool:
        return self.status.state in TERMINAL
