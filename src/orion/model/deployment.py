"""A deployment: the way of a job from one version to another, as an object that the cluster agrees on."""

import enum

import msgspec

from orion.model.ids import JobName

NO_VERSION = -1


class DeploymentState(enum.StrEnum):
    RUNNING = "running"
    DONE = "done"  # what runs is what was asked for
    ROLLED_BACK = "rolled-back"  # it failed, and the version before is back
    PAUSED = "paused"  # it failed, and waits for somebody
    FAILED = "failed"
    SUPERSEDED = "superseded"  # somebody asked for something else meanwhile


# What was asked for is not what there is.
UNMET = (DeploymentState.PAUSED, DeploymentState.FAILED, DeploymentState.ROLLED_BACK)


class DeploymentKind(enum.StrEnum):
    DEPLOY = "deploy"
    SCALE = "scale"
    RESTART = "restart"
    ROLLBACK = "rollback"


class Deployment(msgspec.Struct, frozen=True, array_like=True):
    """`id` is the index of the log entry that began it; `created_index` is the job's, not that of another one of
    its name. `from_version` is what a failure leads back to, NO_VERSION where there is none. While `rolling_back`
    that is its goal. `promoted`: somebody has seen the canaries and wants the rest. Times are wall clock of who
    proposed, 0 when not yet.
    """

    id: int
    job: JobName
    created_index: int
    kind: DeploymentKind
    from_version: int
    to_version: int
    state: DeploymentState = DeploymentState.RUNNING
    rolling_back: bool = False
    promoted: bool = False
    reason: str = ""
    started_at_ms: int = 0
    progress_at_ms: int = 0
    ended_at_ms: int = 0

    @property
    def running(self) -> bool:
        return self.state is DeploymentState.RUNNING

    @property
    def goal(self) -> int:
        return self.from_version if self.rolling_back else self.to_version
