"""How people label a node."""

from msgspec.structs import replace

from orion.model.errors import OrionError, Refused
from orion.model.ids import NodeId
from orion.model.labels import MAX_CHANGES, Pairs, changed, changes_errors, effective
from orion.state import mutations
from orion.state.core.command import Command, command, once_about
from orion.state.core.faults import MAX_TEXT, first, key_fault, longer, node_fault
from orion.state.core.step import Step
from orion.state.records import Tables
from orion.state.tables.answers import Answers
from orion.state.tables.nodes import unknown_node


class LabelNode(Command, frozen=True, array_like=True, tag=14):
    """Each of `labels` is set, or with None taken away, whatever the node says of itself; the others stay. Carried
    out once. NotFound; Refused when there are too many, and for what can be no label or is the node's own to say.
    """

    node: NodeId
    labels: tuple[tuple[str, str | None], ...]
    idempotency_key: str
    since: int


def _fault(command: LabelNode) -> str:
    labels = sum(len(key) + len(value or "") for key, value in command.labels)
    return first(
        (
            node_fault(command.node),
            key_fault(command.idempotency_key),
            longer("labels", labels, MAX_TEXT),
        )
    )


def _node(command: LabelNode) -> str:
    return command.node


@command(LabelNode, fault=_fault, once=once_about(Answers, "label", _node))
def label_node(state: Tables, step: Step, command: LabelNode) -> NodeId | OrionError:
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


TABLES = ()
COMMANDS = (label_node,)
