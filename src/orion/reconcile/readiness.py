"""When a task is ready: others may rely on it."""

from orion.model.allocation import Allocation, AllocationState
from orion.model.health import Health
from orion.model.job import TaskSpec


def says_when_ready(spec: TaskSpec) -> bool:
    """Returns whether its node tells when a task of this spec is ready: it has a check, a port to try, or commands
    after its start.
    """
    return spec.tells_ready


def is_ready(allocation: Allocation, spec: TaskSpec) -> bool:
    """Returns whether it may be used. Of a task whose node can't tell, running is enough: it has to stay so for the
    time that its job says (`monitor_ms`).
    """
    status = allocation.status
    if status.state is not AllocationState.RUNNING or status.health is Health.UNHEALTHY:
        return False
    return status.ready_since_ms > 0 or not says_when_ready(spec)
