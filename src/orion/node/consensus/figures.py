from orion.model.figures import Figure, counter, gauge
from orion.node.consensus.driver import RaftDriver
from orion.raft.interface import Role


def raft_figures(driver: RaftDriver) -> tuple[Figure, ...]:
    status = driver.raft.status()
    return (
        gauge("orion_raft_term", "Raft's term", status.term),
        gauge("orion_raft_commit_index", "Index of the last entry that is known to be committed", status.commit),
        gauge("orion_raft_applied_index", "Index of the last entry that is applied", driver.applied_index),
        gauge("orion_raft_snapshot_index", "Index of the last entry in the snapshot", status.snapshot_index),
        gauge("orion_raft_last_index", "Index of the last entry in the log", status.last_index),
        gauge("orion_raft_is_leader", "1 where this node leads", status.role is Role.LEADER),
        gauge("orion_raft_has_leader", "1 where this node knows a leader", bool(status.leader)),
        counter(
            "orion_raft_commits_total", "Commands proposed by this node as leader and applied", driver.commits.count
        ),
        counter(
            "orion_raft_commit_seconds_total", "Time that these took, from the log to there", driver.commits.total_s
        ),
        gauge("orion_raft_disk_bytes", "Size of the log and the snapshot on the disk", driver.disk_bytes()),
    )


def state_figures(driver: RaftDriver) -> tuple[Figure, ...]:
    """As far as this node has applied the log: none on a worker."""
    return (
        gauge("orion_jobs", "Jobs in the applied state", driver.view.job_count()),
        gauge("orion_nodes", "Nodes in the applied state", len(driver.view.nodes())),
    )
