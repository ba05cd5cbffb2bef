"""Readiness: a load balancer may send people to this node."""

from orion.node.agent.assignments import AssignmentWatcher
from orion.node.consensus.driver import RaftDriver
from orion.node.services.service import Health


def health(driver: RaftDriver, source: AssignmentWatcher) -> Health:
    if not driver.is_member:
        registered = source.latest is not None and source.latest.registered
        return Health(registered, "worker" if registered else "not registered with a cluster yet")
    if not driver.standing.leader:
        return Health(ready=False, detail="no leader")
    if driver.applied_index < driver.raft.commit:
        return Health(ready=False, detail="still applying the log")
    return Health(ready=True, detail=driver.standing.role)
