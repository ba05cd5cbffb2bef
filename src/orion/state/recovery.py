"""The state that a cluster begins anew with: one restored from a backup, or one that goes on without the members it
has lost. Not a command: it happens off line, to a state that no other member holds.
"""

from collections.abc import Iterable

from orion.model.node import Node
from orion.state import node_moves
from orion.state.core.step import Step
from orion.state.tables import State
from orion.state.tables.jobs import settle_ended
from orion.state.tables.nodes import bury

# What came after this state and is lost may still be known somewhere: to a client that waits for an index, to a
# worker that runs an allocation. So indexes, terms and ids that may have been given out are not given out again.
LEAP = 1_000_000  # of index and term
_ALLOCATION_LEAP = 1 << 24


def renew(state: State, index: int, gone: Iterable[Node], reason: str, at_ms: int) -> None:
    """The state at `index` (past its own) without the nodes that are `gone`: what they ran is lost, its slots are
    open, and their data directories are welcome no more.
    """
    assert index > state.index
    state.index = index
    state.next_allocation += _ALLOCATION_LEAP
    step = Step(index, at_ms)  # what it tells, nobody is there to hear
    for node in gone:
        record = state.records[node.id]
        lost = node_moves.lose_all(state, record, reason, at_ms)
        settle_ended(state, step, lost)
        node_moves.drop_node(state, record)
        bury(state, node.raft_id)


def rename(state: State, bits: int) -> None:
    """Another cluster from here on. The lower half of the id stays: allocation ids are made from it, and must go on
    never to come twice.
    """
    state.cluster = (bits & 0xFFFFFFFF) << 32 | state.cluster & 0xFFFFFFFF
    state.recovery = 0
