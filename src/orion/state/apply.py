"""apply: the only door through which state changes.

**Invariant:** deterministic. Times and randomness come inside the command, a refused command changes nothing
(but that its answer may be remembered), and nothing is raised for what a command says; only for one that can't be
understood at all.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from orion.model.errors import Unreadable
from orion.state.commands import (
    AnyCommand,
    ApplyPlan,
    Command,
    CreateJob,
    DeleteConfig,
    DrainNode,
    InitCluster,
    LabelNode,
    PutConfig,
    RegisterNode,
    RemoveJob,
    RemoveNode,
    SetNodeStatus,
    StartJob,
    StopJob,
    UpdateAllocations,
    decode_command,
)
from orion.state.core.step import Applied, Result, Step
from orion.state.tables import State, allocation_updates, configs, jobs, node_labels, nodes, plans


def apply(state: State, index: int, command: bytes | AnyCommand) -> Applied:
    """Apply the entry at `index`, which is past all that were applied before. Empty bytes (a new leader's first
    entry) change nothing.

    Raises Unreadable for bytes that are no command this version knows. To skip it would part this node's state
    from that of the others, so the node must stop. Outdated, for the same reason, when it raises the cluster to a
    level that this build does not know.
    """
    assert index > state.index, f"entry {index} was applied before: the state is at {state.index}"
    if isinstance(command, bytes):
        if not command:
            state.index = index
            return Applied(None)
        try:
            command = decode_command(command)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreadable(f"log entry {index} holds no command that this version knows ({error})") from error
    state.index = index
    step = Step(index, command.at_ms)
    result = _HANDLERS[type(command)](state, step, command)
    return Applied(result, tuple(step.events))


def _init_cluster(state: State, step: Step, command: InitCluster) -> Result:
    if not state.cluster:
        state.cluster = command.cluster
        state.salt = command.cluster & 0xFFFFFFFF
        step.tell("ClusterStarted", f"{command.cluster:016x}", "a new cluster was started")
    return None


_HANDLERS: dict[type[Command], Callable[[State, Step, Any], Result]] = {
    InitCluster: _init_cluster,
    RegisterNode: nodes.register_node,
    SetNodeStatus: nodes.set_node_status,
    DrainNode: nodes.drain_node,
    LabelNode: node_labels.label_node,
    RemoveNode: nodes.remove_node,
    CreateJob: jobs.create_job,
    RemoveJob: jobs.remove_job,
    StopJob: jobs.stop_job,
    StartJob: jobs.start_job,
    UpdateAllocations: allocation_updates.update_allocations,
    ApplyPlan: plans.apply_plan,
    PutConfig: configs.put_config,
    DeleteConfig: configs.delete_config,
}
