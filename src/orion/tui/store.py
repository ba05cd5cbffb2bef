"""All that is known of the cluster: rows by noun and key, as its nodes have told them. Pure."""

from orion.client.watch import Current, Rows
from orion.model.api.watch import Noun, Row, key_of

Table = dict[str, Row]


class Store:
    """`tables`: the last whole state that was told. `index`: the state's. `leader`: "" while none leads.
    `heard_s`: when the last was heard, on the clock of whoever calls; None before the first.
    """

    def __init__(self) -> None:
        self.tables: dict[Noun, Table] = {noun: {} for noun in Noun}
        self.versions: dict[Noun, int] = dict.fromkeys(Noun, 0)  # each grows whenever its table changes
        self.index = 0
        self.leader = ""
        self.heard_s: float | None = None
        self._coming: dict[Noun, Table] = {}  # whole tables, until all of it is one state
        self._changed: set[Noun] = set()

    def take(self, told: Rows | Current, now_s: float) -> set[Noun]:
        """Returns the nouns whose tables have changed, once a state is whole; until then none."""
        if isinstance(told, Current):
            self.index, self.leader, self.heard_s = told.index, told.leader, now_s
            return self._settle()
        if told.begins:
            self._coming[told.noun] = {}
        table = self._coming.get(told.noun, self.tables[told.noun])
        for key in told.gone:
            table.pop(key, None)
        table.update((key_of(told.noun, row), row) for row in told.rows)
        self._changed.add(told.noun)
        return set()

    def forget_begun(self) -> None:
        """The stream broke off: what was half told counts for nothing."""
        self._coming.clear()

    def _settle(self) -> set[Noun]:
        self.tables.update(self._coming)
        self._coming.clear()
        changed, self._changed = self._changed, set()
        for noun in changed:
            self.versions[noun] += 1
        return changed
