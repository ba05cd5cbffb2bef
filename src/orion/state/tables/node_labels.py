"""The command that labels a node."""

from msgspec.structs import replace

from orion.model.errors import OrionError, Refused
from orion.model.ids import NodeId
from orion.model.labels import MAX_CHANGES, Pairs, changed, changes_errors, effective
from orion.state import mutations
from orion.state.commands import LabelNode
from orion.state.core.step import Result, Step
from orion.state.idempotency import once
from orion.state.tables import State
from orion.state.tables.nodes import unknown_node


def label_node(state: State, step: Step, command: LabelNode) -> Result:
    mark = f"label {command.idempotency_key} {command.node}"
    return once(state.answers, step.index, mark, command.since, command.node, lambda: _label(state, step, command))


def _label(state: State, step: Step, command: LabelNode) -> NodeId | OrionError:
    record = state.records.get(command.node)
    if record is None:
        return unknown_node(command.node)
    if wrong := changes_errors(dict(command.labels)):
        return Refused(wrong[0].message)
    former = record.node
    changes = changed(former.own_labels, former.label_changes, command.labels)
    if len(changes) > MAX_CHANGES:
        return Refused(f"{former.id} would have {len(changes)} changed labels, and can have {MAX_CHANGES}")
    node = replace(former, labels=effective(former.own_labels, changes), label_changes=changes)
    if node == former:
        return node.id
    mutations.set_node(state, record, node)
    if text := _difference(former.labels, node.labels):
        step.tell("NodeLabelled", node.id, f"{node.id} {text}")
    return node.id


def _difference(before: Pairs, now: Pairs) -> str:
    keys = dict(now)
    new = [f"{key}={value}" for key, value in now if (key, value) not in before]
    gone = [key for key, _ in before if key not in keys]
    words = [f"has the label{'s' * (len(new) > 1)} {' '.join(new)} now"] if new else []
    if gone:
        words.append(f"has no label {' and no label '.join(gone)} any more")
    return ", and ".join(words)
