"""One node's allocations against the containers of its engine -> actions for the agent.

Level-triggered: called again after every change on either side; an allocation with an action under way is left
out by the caller. What to do with one allocation depends on (wanted, container state):

    wanted, no container ......... Start, once its backoff is over
    wanted, created .............. Start
    wanted, running .............. report
    wanted, exited ............... the restart policy: Start again after a backoff, or the end. One that was
                                   stopped outside of Orion, or by nobody knows whom, has not succeeded, and
                                   its restart is not counted.
                                   While the engine can't say how it ended, nothing
    not wanted, running .......... Stop
    not wanted, exited, kept ..... the end
    not wanted, otherwise ........ Remove, then the end

Containers that no allocation explains are removed; those of a node that is down on the same engine too, and
before any start whose host port they hold.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.container import Container, EndCause
from orion.model.ids import AllocationId, JobName, NodeId, container_name
from orion.model.job import RestartMode, TaskSpec

BACKOFF_FIRST_MS = 1_000
BACKOFF_MAX_MS = 60_000
FORGIVE_AFTER_MS = 600_000  # running this long forgives earlier restarts
ENDED_SOMEHOW = "its container has ended, and the engine does not say how"
_CAUSES = {
    EndCause.ITSELF: "",
    EndCause.TOLD: ", stopped outside of Orion",
    EndCause.UNKNOWN: ", and nobody saw whether by itself",
}


class Start(msgspec.Struct, frozen=True):
    """Pull if need be, create if `container` is empty, start."""

    allocation: Allocation
    spec: TaskSpec
    container: str
    restarts: int


class Report(msgspec.Struct, frozen=True):
    allocation: AllocationId
    status: AllocationStatus


class Stop(msgspec.Struct, frozen=True):
    """`meanwhile`: what to report, with the engine's words as the reason, when the engine refuses."""

    allocation: AllocationId
    container: str
    grace_ms: int
    meanwhile: Report | None = None


class Remove(msgspec.Struct, frozen=True):
    """`then`: what to report once it is gone; None for a container that nothing explains. `meanwhile` as in Stop.

    `owner`: the container belongs to this other node, which must be confirmed gone first.
    """

    container: str
    then: Report | None = None
    owner: NodeId | None = None
    meanwhile: Report | None = None


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do for this allocation before `until_ms`."""

    allocation: AllocationId
    until_ms: int


class BackOff(msgspec.Struct, frozen=True):
    """The container has ended and is to be started again: choose when (`backoff_ms` of `attempt`), remember that
    it was chosen for this `ending`, and report `status` meanwhile.
    """

    allocation: AllocationId
    attempt: int
    ending: str
    status: AllocationStatus


Action = Start | Stop | Remove | Report | BackOff | Wait


class Attempts(msgspec.Struct):
    """What the agent remembers of an allocation beyond its container, for this process's life."""

    restarts: int | None = None  # as of the last start; None: the status knows
    failures: int = 0  # of pull, create or start, in a row
    refusals: int = 0  # in a row, and for what the user wrote: the same will be refused again
    waits: int = 0  # for configs, in a row
    retry_at_ms: int = 0
    ending: str = ""  # the container's end that `retry_at_ms` was chosen for
    last_error: str = ""
    gave_up: bool = False  # the end has come: `last_error` says why


CONFIRMING_REFUSALS = 3  # even "no such image" may be a registry that is a moment behind


def gives_up(refusals: int, *, ran: bool) -> bool:
    """Returns whether a start that was refused so many times in a row, each time for what the user wrote, is a
    failure for good. A task that has run before was written well: what is missing today may be back tomorrow.

    The restart policy has no say: it is about programs that end, and this one never began.
    """
    return refusals >= CONFIRMING_REFUSALS and not ran


def backoff_ms(attempt: int, jitter: float) -> int:
    """The wait before the `attempt`-th retry (from 1): doubling from a second to a minute, times 0.75-1.25
    (`jitter` in [0, 1)), so that many tasks that failed together do not come back together.
    """
    base = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** min(attempt - 1, 10))
    return int(base * (0.75 + jitter / 2))


class Desired(msgspec.Struct, frozen=True):
    """`kept`: when it is not wanted and has ended, its container stays, for its logs."""

    allocation: Allocation
    spec: TaskSpec
    kept: bool = False


def reconcile(
    me: NodeId,
    desired: Mapping[AllocationId, Desired],
    containers: Sequence[Container],
    attempts: Mapping[AllocationId, Attempts],
    neighbours: frozenset[NodeId],
    busy: frozenset[AllocationId],
    now_ms: int,
    removing: frozenset[str] = frozenset(),
) -> list[Action]:
    """`containers`: all of the cluster's on this engine. `neighbours`: other nodes of this engine that are not
    down; their containers are never touched, those of any other node are its leavings. `removing`: containers on
    their way out, which hold their ports and keep their allocations waiting until they are gone.
    """
    actions: list[Action] = []
    mine: dict[AllocationId, Container] = {}
    doomed: list[Container] = []
    for container in containers:
        owner, allocation = container.labels.node, AllocationId(container.labels.allocation)
        if owner == me and allocation in desired:
            mine[allocation] = container
        elif owner == me or owner not in neighbours:
            doomed.append(container)
            if container.id not in removing and not (owner == me and allocation in busy):
                actions.append(Remove(container.id, owner=None if owner == me else owner))
    doomed += [c for a, c in mine.items() if desired[a].allocation.terminal]
    doomed_ports = {port for container in doomed for port in _held(container)}
    for wish in desired.values():
        held = mine.get(wish.allocation.id)
        if wish.allocation.id in busy or (held is not None and held.id in removing):
            continue
        tries = attempts.get(wish.allocation.id, Attempts())
        action = _act(wish, held, tries, now_ms)
        if isinstance(action, Start) and doomed_ports.intersection(wish.allocation.ports):
            continue  # those containers go first; their removal calls us again
        if action is not None:
            actions.append(action)
    return actions


def _held(container: Container) -> tuple[int, ...]:
    return container.host_ports if container.state == "running" else ()


def _act(wish: Desired, container: Container | None, tries: Attempts, now_ms: int) -> Action | None:
    allocation = wish.allocation
    if not allocation.wanted or allocation.terminal:
        return _end(wish, container, tries)
    if tries.gave_up:
        return Report(allocation.id, _failed(allocation, tries.last_error, container))
    if container is None or container.state == "created":
        if now_ms < tries.retry_at_ms:
            return Wait(allocation.id, tries.retry_at_ms)
        held = container.id if container else ""
        return Start(allocation, wish.spec, held, _restarts(allocation, tries))
    if container.state == "running":
        status = running_status(container, _restarts(allocation, tries))
        return Report(allocation.id, status) if status != allocation.status else None
    if container.exit_code is None:
        status = msgspec.structs.replace(allocation.status, reason=ENDED_SOMEHOW)
        return Report(allocation.id, status) if status != allocation.status else None
    return _exited(wish, container, tries, now_ms)


def _end(wish: Desired, container: Container | None, tries: Attempts) -> Action | None:
    allocation = wish.allocation
    if allocation.terminal:
        # Its container is kept for its logs, except that of a run that was called lost while it ran on.
        if container is not None and container.state == "running":
            return Stop(allocation.id, container.id, wish.spec.stop_grace_ms)
        if container is not None and allocation.status.state is AllocationState.LOST:
            return Remove(container.id)
        return None
    if container is None:
        return Report(allocation.id, _stopped(allocation, None, tries))
    if container.state == "running":
        running = running_status(container, _restarts(allocation, tries))
        return Stop(allocation.id, container.id, wish.spec.stop_grace_ms, Report(allocation.id, running))
    stopped = Report(allocation.id, _stopped(allocation, container, tries))
    if wish.kept and container.state == "exited":
        return stopped
    return Remove(container.id, stopped, meanwhile=Report(allocation.id, allocation.status))


def _exited(wish: Desired, container: Container, tries: Attempts, now_ms: int) -> Action:
    allocation, policy = wish.allocation, wish.spec.restart
    by_itself = container.cause is EndCause.ITSELF
    succeeded = container.exit_code == 0 and not container.error and by_itself
    restarts = _restarts(allocation, tries)
    if container.finished_at_ms - container.started_at_ms >= FORGIVE_AFTER_MS:
        restarts = 0
    counted = policy.mode is RestartMode.ON_FAILURE and by_itself
    spent = counted and 0 < policy.max_restarts <= restarts
    again = policy.mode is RestartMode.ALWAYS or (policy.mode is RestartMode.ON_FAILURE and not succeeded)
    if spent or not again:
        return Report(allocation.id, ended_status(container, succeeded=succeeded, restarts=restarts))
    ending = f"{container.id} {container.finished_at_ms}"
    if tries.ending != ending:
        attempt = restarts + 1 if by_itself else 1
        return BackOff(allocation.id, attempt, ending, _restarting(container, restarts))
    if now_ms < tries.retry_at_ms:
        return Wait(allocation.id, tries.retry_at_ms)
    return Start(allocation, wish.spec, container.id, restarts + 1 if by_itself else restarts)


def _restarts(allocation: Allocation, tries: Attempts) -> int:
    return allocation.status.restarts if tries.restarts is None else tries.restarts


def running_status(container: Container, restarts: int) -> AllocationStatus:
    return AllocationStatus(
        AllocationState.RUNNING,
        _paused_words(container) if container.paused else "",
        restarts,
        started_at_ms=container.started_at_ms,
        address=container.address,
        container=container.id,
    )


def _paused_words(container: Container) -> str:
    labels = container.labels
    name = container_name(JobName(labels.job), labels.index, AllocationId(labels.allocation))
    return f"paused, until somebody says docker unpause {name}"


def _restarting(container: Container, restarts: int) -> AllocationStatus:
    return AllocationStatus(
        AllocationState.STARTING,
        f"restarting after {exit_words(container)}",
        restarts,
        container.exit_code,
        container.started_at_ms,
        container.finished_at_ms,
        container=container.id,
    )


def ended_status(container: Container, *, succeeded: bool, restarts: int) -> AllocationStatus:
    """`reason` is completed by the agent with the container's last log lines."""
    return AllocationStatus(
        AllocationState.COMPLETED if succeeded else AllocationState.FAILED,
        "" if succeeded else exit_words(container),
        restarts,
        container.exit_code,
        container.started_at_ms,
        container.finished_at_ms,
        container=container.id,
    )


def exit_words(container: Container) -> str:
    """Why a container ended, in words: 'exit code 137, out of memory'."""
    if container.error:
        return container.error
    words = f"exit code {container.exit_code}"
    if container.oom_killed:
        return f"{words}, out of memory"
    return f"{words}{_CAUSES[container.cause]}"


def _failed(allocation: Allocation, reason: str, container: Container | None) -> AllocationStatus:
    return AllocationStatus(
        AllocationState.FAILED,
        reason,
        allocation.status.restarts,
        container.exit_code if container else None,
        container.started_at_ms if container else 0,
        container.finished_at_ms if container else 0,
        container=container.id if container else "",
    )


def _stopped(allocation: Allocation, container: Container | None, tries: Attempts) -> AllocationStatus:
    """One that never started keeps why: the scheduler tries nodes that it has not been on. What was said since, of
    a pull or of a removal that was refused, is past. Of failures in an earlier process only the status knows.
    """
    failed_starts = allocation.status.failed_starts
    why = tries.last_error or allocation.status.reason
    return AllocationStatus(
        AllocationState.STOPPED,
        why if failed_starts else "",
        allocation.status.restarts,
        container.exit_code if container else None,
        container.started_at_ms if container else allocation.status.started_at_ms,
        container.finished_at_ms if container else 0,
        failed_starts=failed_starts,
    )
