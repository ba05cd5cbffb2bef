"""State: the tables, and the view through which they are read."""

from orion.state.records import Tables
from orion.state.view import View


class State(Tables):
    """What `apply` changes. Everything else reads it through `view`, or reads `nodes`, `cluster`, `index`."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        super().__init__()
        self.view = View(self)
