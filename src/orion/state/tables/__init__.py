"""The nouns, a file each, and the state that is made of their tables.

A new noun is a line of `_NOUNS`. Their order is that of a snapshot.
"""

from orion.state.core.command import AnyDeclared, Command
from orion.state.core.table import Table
from orion.state.records import Tables
from orion.state.tables import (
    allocation_updates,
    answers,
    cluster,
    configs,
    history,
    jobs,
    node_changes,
    node_labels,
    node_status,
    nodes,
    plans,
)
from orion.state.view import View

_NOUNS = (
    cluster,
    nodes,
    node_status,
    node_changes,
    node_labels,
    answers,
    configs,
    jobs,
    allocation_updates,
    plans,
    history,
)

TABLES: tuple[type[Table], ...] = tuple(table for noun in _NOUNS for table in noun.TABLES)
COMMANDS: dict[type[Command], AnyDeclared] = {each.kind: each for noun in _NOUNS for each in noun.COMMANDS}


class State(Tables):
    """The state that `apply` changes. Everything else reads it through `view`, or reads `nodes`, `cluster`,
    `index`.
    """

    __slots__ = ("view",)

    def __init__(self) -> None:
        super().__init__()
        self.declare(TABLES)
        self.view = View(self)
