"""Jobs as a tree: tasks, their runs, and the node of each."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from orion.model.api.watch import Noun
from orion.model.counts import several
from orion.tui.cluster import Cluster
from orion.tui.picker import Picker
from orion.tui.screens.of_row import BY_WORD
from orion.tui.screens.pane import Pane
from orion.tui.texts.xray import Branch, tree

MOST_OPEN = 3_000  # tasks: a tree of more takes too long to be drawn


class Xray(Pane):
    """All jobs, or one."""

    nouns = frozenset({Noun.JOBS, Noun.TASKS, Noun.ALLOCATIONS, Noun.NODES})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "open('describe')", "Describe"),
        Binding("l", "open('logs')", "Logs"),
        Binding("w", "open('why')", "Why"),
        Binding("y", "open('yaml')", "YAML"),
        Binding("right", "turn(True)", show=False),
        Binding("left", "turn(False)", show=False),
        Binding("a", "all", "Open/close all"),
    ]

    def __init__(self, cluster: Cluster, job: str = "") -> None:
        super().__init__(cluster, f"xray {job}".strip())
        self.job = job
        self._turned: set[str] = set()
        self._branches: list[Branch] = []

    def body(self) -> Iterable[Widget]:
        yield Picker()

    @property
    def picker(self) -> Picker:
        return self.query_one(Picker)

    def on_mount(self) -> None:
        self.picker.focus()

    def rows_changed(self) -> None:
        self._branches = tree(self.cluster.store, self.job, self._turned)
        self.picker.show_rows([((each.noun, each.key), each.line) for each in self._branches])
        jobs = sum(each.opens for each in self._branches)
        self.status("" if self.job else several(jobs, "job"))
        self.say("" if self._branches else f"there is no job {self.job}".rstrip())

    def _branch(self) -> Branch | None:
        at = self.picker.at
        return self._branches[at] if at < len(self._branches) else None

    def on_picker_picked(self, event: Picker.Picked) -> None:
        event.stop()
        branch = self._branch()
        if branch is not None and branch.opens:
            self._turn(branch.key)
        else:
            self.action_open("describe")

    def action_turn(self, opens: bool) -> None:
        """Opens a job; closes it, or goes up to what the row is below of."""
        branch = self._branch()
        if branch is None:
            return
        if branch.opens and self._is_open(branch) is not opens:
            self._turn(branch.key)
        elif branch.parent is not None and not opens:
            keys = [(each.noun, each.key) for each in self._branches]
            self.picker.go_to(keys.index(branch.parent))

    def action_all(self) -> None:
        jobs = [each for each in self._branches if each.opens]
        closed = [each.key for each in jobs if not self._is_open(each)]
        tasks = len(self.cluster.store.tables[Noun.TASKS])
        if closed and tasks > MOST_OPEN:
            self.say(f"{tasks:,} tasks are too many to be open at once: open a job with Enter")
            return
        self._turned ^= set(closed or (each.key for each in jobs))
        self.rows_changed()

    def action_open(self, what: str) -> None:
        branch = self._branch()
        if branch is not None:
            self.app.push_screen(BY_WORD[what](self.cluster, branch.noun, branch.key))

    def _turn(self, job: str) -> None:
        self._turned ^= {job}
        self.rows_changed()

    def _is_open(self, branch: Branch) -> bool:
        return branch.line[0].text.startswith("▾")
