"""The status of one run of a container, as its node tells it."""

from orion.model.allocation import Allocation, AllocationState, AllocationStatus
from orion.model.container import Container, EndCause
from orion.model.health import Health
from orion.model.ids import AllocationId, JobName, container_name
from orion.reconcile.health import Checked

_CAUSES = {
    EndCause.ITSELF: "",
    EndCause.TOLD: ", stopped outside of Orion",
    EndCause.UNKNOWN: ", and nobody saw whether by itself",
}


def running_status(container: Container, restarts: int, checked: Checked | None = None) -> AllocationStatus:
    reason = checked.reason if checked is not None else ""
    return AllocationStatus(
        AllocationState.RUNNING,
        _paused_words(container) if container.paused else reason,
        restarts,
        started_at_ms=container.started_at_ms,
        address=container.address,
        container=container.id,
        health=checked.health if checked is not None else Health.NONE,
        ready_since_ms=checked.ready_since_ms if checked is not None else 0,
    )


def _paused_words(container: Container) -> str:
    labels = container.labels
    name = container_name(JobName(labels.job), labels.index, AllocationId(labels.allocation))
    return f"paused, until somebody says docker unpause {name}"


def restarting_status(container: Container, restarts: int, failed: str, *, by_itself: bool) -> AllocationStatus:
    """Its exit code is the program's word on itself: one that was ended from outside has said nothing."""
    return AllocationStatus(
        AllocationState.STARTING,
        failed or f"restarting after {exit_words(container)}",
        restarts,
        container.exit_code if by_itself else None,
        container.started_at_ms,
        container.finished_at_ms,
        container=container.id,
        # Why it is restarted is known by it after a restart of this process, too (health.first).
        health=Health.UNHEALTHY if failed else Health.NONE,
    )


def ended_status(container: Container, failed: str = "", *, succeeded: bool, restarts: int) -> AllocationStatus:
    """The status of a run that is over. The agent adds the container's last log lines to `reason`."""
    return AllocationStatus(
        AllocationState.COMPLETED if succeeded else AllocationState.FAILED,
        "" if succeeded else failed or exit_words(container),
        restarts,
        container.exit_code,
        container.started_at_ms,
        container.finished_at_ms,
        container=container.id,
    )


def exit_words(container: Container) -> str:
    """Returns why a container ended, in words: 'exit code 137, out of memory'."""
    if container.error:
        return container.error
    words = f"exit code {container.exit_code}"
    if container.oom_killed:
        return f"{words}, out of memory"
    return f"{words}{_CAUSES[container.cause]}"


def failed_status(allocation: Allocation, reason: str, container: Container | None) -> AllocationStatus:
    return AllocationStatus(
        AllocationState.FAILED,
        reason,
        allocation.status.restarts,
        container.exit_code if container else None,
        container.started_at_ms if container else 0,
        container.finished_at_ms if container else 0,
        container=container.id if container else "",
    )
