"""The nouns, a file each, and the state that is made of their tables.

A module here declares `TABLES`, `COMMANDS`, both or neither.
"""

from orion.model.nouns import nouns_of
from orion.state.core.command import AnyDeclared, Command
from orion.state.core.frames import frame_tag
from orion.state.core.shapes import tag_of
from orion.state.core.table import Table
from orion.state.records import Tables
from orion.state.view import View

# The tables of the first version, in the order in which its snapshots have them. Later ones follow by tag, so that
# the next free tag of a new table is also its place.
_FIRST = ("Nodes", "Answers", "ConfigAnswers", "Configs", "Jobs")


def _place(table: type[Table]) -> tuple[int, int]:
    if table.__name__ in _FIRST:
        return 0, _FIRST.index(table.__name__)
    return 1, min(map(frame_tag, table.frames))


def _declared() -> tuple[tuple[type[Table], ...], dict[type[Command], AnyDeclared]]:
    tables: set[type[Table]] = set()
    commands: list[AnyDeclared] = []
    for noun in nouns_of(__name__, __path__):
        tables.update(getattr(noun, "TABLES", ()))
        commands.extend(getattr(noun, "COMMANDS", ()))
    commands.sort(key=lambda each: int(tag_of(each.kind) or 0))
    return tuple(sorted(tables, key=_place)), {each.kind: each for each in commands}


TABLES, COMMANDS = _declared()


class State(Tables):
    """The state that `apply` changes. Everything else reads it through `view`, or reads `nodes`, `cluster`,
    `index`.
    """

    __slots__ = ("view",)

    def __init__(self) -> None:
        super().__init__()
        self.declare(TABLES)
        self.view = View(self)
