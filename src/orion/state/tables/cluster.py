"""The cluster's own name."""

from orion.state.core.command import Command, command
from orion.state.core.faults import MAX_ID, outside
from orion.state.core.step import Step
from orion.state.records import Tables


class InitCluster(Command, frozen=True, array_like=True, tag=1):
    """The first command of a cluster; later ones are ignored. `cluster` is 64 random bits."""

    cluster: int


def _fault(command: InitCluster) -> str:
    return outside("cluster", command.cluster, MAX_ID, 1)


@command(InitCluster, fault=_fault)
def init_cluster(state: Tables, step: Step, command: InitCluster) -> None:
    if not state.cluster:
        state.cluster = command.cluster
        state.salt = command.cluster & 0xFFFFFFFF
        step.tell("ClusterStarted", f"{command.cluster:016x}", "a new cluster was started")


TABLES = ()
COMMANDS = (init_cluster,)
