"""apply: the only door through which state changes.

**Invariant:** deterministic. Times and randomness come inside the command, a refused command changes nothing
(but that its answer may be remembered), and nothing is raised for what a command says; only for one that can't be
understood at all.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from orion.model.errors import Unreadable
from orion.state import apply_allocations, apply_configs, apply_jobs, apply_labels, apply_nodes, apply_plan
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
from orion.state.step import Applied, Result, Step
from orion.state.tables import State


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
    RegisterNode: apply_nodes.register_node,
    SetNodeStatus: apply_nodes.set_node_status,
    DrainNode: apply_nodes.drain_node,
    LabelNode: apply_labels.label_node,
    RemoveNode: apply_nodes.remove_node,
    CreateJob: apply_jobs.create_job,
    RemoveJob: apply_jobs.remove_job,
    StopJob: apply_jobs.stop_job,
    StartJob: apply_jobs.start_job,
    UpdateAllocations: apply_allocations.update_allocations,
    ApplyPlan: apply_plan.apply_plan,
    PutConfig: apply_configs.put_config,
    DeleteConfig: apply_configs.delete_config,
}
