"""Compares one node's allocations with the containers of its engine and returns actions for the agent.

It is called again after every change on either side, and skips allocations that have an action under way. The
action for one allocation depends on whether it is wanted and on its container's state:

    wanted, no container ......... Start, once its backoff is over
    wanted, created .............. Start
    wanted, running .............. report
    wanted, running, failed ...... Stop: a health check that failed is as an end by itself. Before it Drain, if it
                                   was ready and others of its job are there to be used
    wanted, exited ............... the restart policy: Start again after a backoff, or the end. A container that
                                   was stopped outside of Orion, or by nobody knows whom, has not succeeded, and
                                   its restart is not counted, and waits for the jobs that it comes after.
                                   Nothing, while the engine can't say how it ended
    not wanted, running, drains .. Drain, and wait until its time is over: who uses it learns of its end
    not wanted, running .......... Stop
    not wanted, exited, kept ..... the end
    not wanted, otherwise ........ Remove, then the end
    lost ......................... Stop, Remove: others have taken its place. Nothing, until the cluster has said so

Containers without an allocation are removed, and so are those of a node on the same engine that is down. A start
waits for the removal of a container that holds its host port, and for the end of one that may write to its volumes.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orion.model.after import JobWait
from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.container import Container, ContainerState, EndCause
from orion.model.health import Health, HookCommand
from orion.model.ids import AllocationId, NodeId
from orion.model.job import RestartMode, TaskSpec
from orion.reconcile import health
from orion.reconcile.health import Checked
from orion.reconcile.run_status import ended_status, failed_status, restarting_status, running_status

BACKOFF_FIRST_MS = 1_000
BACKOFF_MAX_MS = 60_000
FORGIVE_AFTER_MS = 600_000  # earlier restarts do not count any more after a run this long
ENDED_SOMEHOW = "its container has ended, and the engine does not say how"


class Start(msgspec.Struct, frozen=True):
    """Pull the image if it is missing, create the container if `container` is empty, and start it. `in_turn`: not
    before the jobs that it comes after.
    """

    allocation: Allocation
    spec: TaskSpec
    container: str
    restarts: int
    in_turn: bool = False


class Report(msgspec.Struct, frozen=True):
    allocation: AllocationId
    status: AllocationStatus


class Stop(msgspec.Struct, frozen=True):
    """Report `before`, run the `hooks` in the container, within the grace, and stop it. When the engine refuses,
    report `meanwhile` with the engine's words as the reason.
    """

    allocation: AllocationId
    container: str
    grace_ms: int
    meanwhile: Report | None = None
    hooks: tuple[HookCommand, ...] = ()
    before: Report | None = None


class Drain(msgspec.Struct, frozen=True):
    """Report `before`, and remember that the container is to be stopped after `drain_ms` from now."""

    allocation: AllocationId
    drain_ms: int
    before: Report | None = None


class Remove(msgspec.Struct, frozen=True):
    """Remove the container, then report `then`, which is None for a container without an allocation. `meanwhile` is
    as in Stop.

    With `owner` the container belongs to that other node, which must be confirmed gone first. `drains`: it still
    answers, nobody waits for what it holds, and who uses it has to learn of its end.
    """

    container: str
    then: Report | None = None
    owner: NodeId | None = None
    meanwhile: Report | None = None
    drains: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Do nothing for this allocation before `until_ms`."""

    allocation: AllocationId
    until_ms: int


class BackOff(msgspec.Struct, frozen=True):
    """The container has ended and is to be started again. Choose the time by `backoff_ms(attempt)`, remember that
    it was chosen for this `ending`, and report `status` meanwhile.
    """

    allocation: AllocationId
    attempt: int
    ending: str
    status: AllocationStatus


Action = Start | Stop | Drain | Remove | Report | BackOff | Wait


class Attempts(msgspec.Struct):
    """The agent's memory of one allocation beside its container, for this process's life."""

    restarts: int | None = None  # as of the last start; None before it: then the status has the number
    failures: int = 0  # of pull, create or start, in a row
    refusals: int = 0  # in a row, of the task as the user wrote it
    waits: int = 0  # for configs, in a row
    waits_for: tuple[JobWait, ...] = ()  # jobs that come first
    retry_at_ms: int = 0
    ending: str = ""  # the container's end that `retry_at_ms` was chosen for
    last_error: str = ""
    gave_up: bool = False  # it is not tried again: `last_error` says why
    drained_at_ms: int | None = None  # once it drains: when it is to be stopped


def backoff_ms(attempt: int, jitter: float) -> int:
    """Returns the wait before the `attempt`-th retry, counted from 1. It doubles from a second to a minute, times
    0.75-1.25 by `jitter` in [0, 1), so that tasks that failed together do not come back together.
    """
    base = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** min(attempt - 1, 10))
    return int(base * (0.75 + jitter / 2))


class Desired(msgspec.Struct, frozen=True):
    """One allocation of this node. With `kept` its container stays for its logs once it has ended and is not
    wanted. `drains`: other tasks of its job take over from it, if it ends. `checked`: what is known of the health
    of its last run. `may_return`: it was lost with this node, which the cluster takes for down; whether it goes on
    is said once the node is ready.
    """

    allocation: Allocation
    spec: TaskSpec
    kept: bool = False
    drains: bool = False
    checked: Checked | None = None
    may_return: bool = False

    @property
    def starts(self) -> bool:
        """It is to run, and no node has said yet that it does."""
        allocation = self.allocation
        return (
            allocation.wanted and not allocation.terminal and allocation.status.state is not AllocationState.RUNNING
        )

    def health_of(self, container: Container) -> Checked:
        """Returns what is known of this run of its container."""
        if self.checked is not None and self.checked.is_of(container):
            return self.checked
        return health.first(self.spec, container, self.allocation.status)

    def stop(self, container: Container, meanwhile: Report | None, before: Report | None = None) -> Stop:
        spec = self.spec
        hooks = spec.hooks.pre_stop if spec.hooks is not None else ()
        return Stop(self.allocation.id, container.id, spec.stop_grace_ms, meanwhile, hooks, before)


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
    """Returns the next actions. `containers` are all of the cluster's on this engine. `neighbours` are other nodes
    of this engine that are not down: their containers are never touched, those of any other node are removed.
    `removing` are containers whose removal is under way: they hold their ports, and their allocations wait until
    they are gone.
    """
    actions: list[Action] = []
    mine: dict[AllocationId, Container] = {}
    doomed: list[Container] = []
    awaited = {port for wish in desired.values() if wish.starts for port in wish.allocation.ports}
    for container in containers:
        owner, allocation = container.labels.node, AllocationId(container.labels.allocation)
        if owner == me and allocation in desired:
            mine[allocation] = container
        elif owner == me or owner not in neighbours:
            doomed.append(container)
            if container.id not in removing and not (owner == me and allocation in busy):
                others = None if owner == me else owner
                drains = owner != me and _answers(container) and not awaited.intersection(_held(container))
                actions.append(Remove(container.id, owner=others, drains=drains))
    doomed += [c for a, c in mine.items() if desired[a].allocation.terminal]
    doomed_ports = {port for container in doomed for port in _held(container)}
    for wish in desired.values():
        held = mine.get(wish.allocation.id)
        if wish.allocation.id in busy or (held is not None and held.id in removing):
            continue
        tries = attempts.get(wish.allocation.id, Attempts())
        action = _act(wish, held, tries, now_ms)
        if isinstance(action, Start) and (
            doomed_ports.intersection(wish.allocation.ports)
            or (wish.spec.writes_volumes and any(_may_write(each, wish, desired) for each in doomed))
        ):
            continue  # those containers go first; after their removal this is called again
        if action is not None:
            actions.append(action)
    return actions


def _may_write(container: Container, wish: Desired, desired: Mapping[AllocationId, Desired]) -> bool:
    """Returns whether a container that is to end may write to a volume of the task: of one of which nothing is
    known any more, any.
    """
    if not _answers(container):
        return False
    known = desired.get(AllocationId(container.labels.allocation))
    if known is None:
        return True
    shared = set(known.spec.volume_names(known.allocation.index))
    return not shared.isdisjoint(wish.spec.volume_names(wish.allocation.index))


def _answers(container: Container) -> bool:
    return container.state is ContainerState.RUNNING


def _held(container: Container) -> tuple[int, ...]:
    return container.host_ports if _answers(container) else ()


def _act(wish: Desired, container: Container | None, tries: Attempts, now_ms: int) -> Action | None:
    allocation = wish.allocation
    if not allocation.wanted or allocation.terminal:
        return _end(wish, container, tries, now_ms)
    if tries.gave_up:
        return Report(allocation.id, failed_status(allocation, tries.last_error, container))
    if container is None or container.state is ContainerState.CREATED:
        if now_ms < tries.retry_at_ms:
            return Wait(allocation.id, tries.retry_at_ms)
        held = container.id if container else ""
        return Start(allocation, wish.spec, held, _restarts(allocation, tries), bool(wish.spec.after))
    if container.state is ContainerState.RUNNING:
        checked = wish.health_of(container)
        status = running_status(container, _restarts(allocation, tries), checked)
        report = Report(allocation.id, status)
        if checked.failed:
            drain = _drain(wish, checked, tries, now_ms, before=report)
            return drain or wish.stop(container, report, before=report)
        return report if status != allocation.status else None
    if container.exit_code is None:
        status = allocation.status.because(ENDED_SOMEHOW)
        return Report(allocation.id, status) if status != allocation.status else None
    return _exited(wish, container, tries, now_ms)


def _end(wish: Desired, container: Container | None, tries: Attempts, now_ms: int) -> Action | None:
    allocation = wish.allocation
    if allocation.terminal:
        if wish.may_return:
            return None
        # Its container is kept for its logs, except that of a run that was called lost while it ran on.
        if container is not None and container.state is ContainerState.RUNNING:
            return wish.stop(container, None)
        replaced = allocation.status.state is AllocationState.STOPPED and not wish.kept
        if container is not None and (replaced or allocation.status.state is AllocationState.LOST):
            return Remove(container.id)
        return None
    if container is None:
        return Report(allocation.id, _stopped(wish, None, tries))
    if container.state is ContainerState.RUNNING:
        checked = wish.health_of(container)
        if (wait := _drain(wish, checked, tries, now_ms)) is not None:
            return wait
        running = running_status(container, _restarts(allocation, tries), checked)
        return wish.stop(container, Report(allocation.id, running))
    stopped = Report(allocation.id, _stopped(wish, container, tries))
    if wish.kept and container.state is ContainerState.EXITED:
        return stopped
    return Remove(container.id, stopped, meanwhile=Report(allocation.id, allocation.status))


def _drain(
    wish: Desired, checked: Checked, tries: Attempts, now_ms: int, before: Report | None = None
) -> Drain | Wait | None:
    """Returns None when it is over, or nobody can have begun to use it."""
    spec, allocation = wish.spec, wish.allocation
    if not wish.drains or not spec.drain_time_ms:
        return None
    if tries.drained_at_ms is not None:
        return Wait(allocation.id, tries.drained_at_ms) if now_ms < tries.drained_at_ms else None
    if spec.tells_ready and not (checked.ready_since_ms or checked.was_ready):
        return None
    return Drain(allocation.id, spec.drain_time_ms, before)


def _exited(wish: Desired, container: Container, tries: Attempts, now_ms: int) -> Action:
    allocation, policy = wish.allocation, wish.spec.restart
    failed = wish.health_of(container).failed
    by_itself = container.cause is EndCause.ITSELF or bool(failed)
    succeeded = container.exit_code == 0 and not container.error and by_itself and not failed
    restarts = _restarts(allocation, tries)
    if container.finished_at_ms - container.started_at_ms >= FORGIVE_AFTER_MS:
        restarts = 0
    counted = policy.mode is RestartMode.ON_FAILURE and by_itself
    # What has ended by itself had begun in its turn. All else may be the end of what it came after, too.
    in_turn = bool(wish.spec.after) and not by_itself
    if policy.mode is RestartMode.NO and container.cause is EndCause.UNKNOWN and _was_lost(allocation, container):
        # It has ended with its machine: where another node takes over, it is run again as well.
        return Start(allocation, wish.spec, container.id, restarts, in_turn)
    spent = counted and 0 < policy.max_restarts <= restarts
    again = policy.mode is RestartMode.ALWAYS or (policy.mode is RestartMode.ON_FAILURE and not succeeded)
    if spent or not again:
        return Report(allocation.id, ended_status(container, failed, succeeded=succeeded, restarts=restarts))
    ending = f"{container.id} {container.finished_at_ms}"
    if tries.ending != ending:
        attempt = restarts + 1 if by_itself else 1
        status = restarting_status(container, restarts, failed, by_itself=by_itself)
        return BackOff(allocation.id, attempt, ending, status)
    if now_ms < tries.retry_at_ms:
        return Wait(allocation.id, tries.retry_at_ms)
    return Start(allocation, wish.spec, container.id, restarts + 1 if by_itself else restarts, in_turn)


def _was_lost(allocation: Allocation, container: Container) -> bool:
    """Returns whether it goes on after its node was down, and has not been started again."""
    status = allocation.status
    return status.state is AllocationState.SCHEDULED and status.container == container.id


def _restarts(allocation: Allocation, tries: Attempts) -> int:
    return allocation.status.restarts if tries.restarts is None else tries.restarts


def _stopped(wish: Desired, container: Container | None, tries: Attempts) -> AllocationStatus:
    """The status of one that was stopped. If it never started, or was replaced as unhealthy, it keeps its reason:
    the scheduler then tries other nodes. Only the status remembers failures of an earlier process.
    """
    allocation = wish.allocation
    failed_starts = allocation.status.failed_starts
    ill = wish.spec.is_replaced and allocation.status.health is Health.UNHEALTHY
    why = tries.last_error or allocation.status.reason
    return AllocationStatus(
        AllocationState.STOPPED,
        why if failed_starts or ill else "",
        allocation.status.restarts,
        container.exit_code if container else None,
        container.started_at_ms if container else allocation.status.started_at_ms,
        container.finished_at_ms if container else 0,
        failed_starts=failed_starts,
        health=Health.UNHEALTHY if ill else Health.NONE,
    )
