"""All that is known of a row, and again whenever it changes."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.worker import Worker

from orion.model.api.watch import Noun, Row
from orion.model.errors import OrionError
from orion.tui.cluster import Cluster
from orion.tui.lines import Line, plain
from orion.tui.screens.text_pane import TextPane
from orion.tui.texts.asking import describe, why, yaml_of
from orion.tui.texts.yaml_text import yaml_lines

_NOUNS = frozenset(Noun)


class Asked(TextPane):
    """A text that is asked for, and again when the row has changed."""

    nouns = _NOUNS
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+r", "refresh", "Again", show=False)]

    def __init__(self, cluster: Cluster, word: str, noun: Noun, key: str) -> None:
        super().__init__(cluster, f"{word} {noun.value.removesuffix('s')} {key}", f"{word}-{key}")
        self.noun = noun
        self.key = key
        self._asking: Worker[None] | None = None
        self._again = False
        self._row: Row | None = None

    async def ask(self) -> list[Line]:
        raise NotImplementedError

    def rows_changed(self) -> None:
        row = self.cluster.store.tables[self.noun].get(self.key)
        if self._asking is None or row is not self._row:
            self._row = row
            self.action_refresh()

    def action_refresh(self) -> None:
        if self._asking is not None and self._asking.is_running:
            self._again = True
        else:
            self._asking = self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        while True:
            self._again = False
            try:
                lines = await self.ask()
            except OrionError as error:
                if self.pager.pages.lines:
                    self.say(f"{error.detail}; this is how it was last")
                else:
                    self.pager.show([plain(error.detail, "bad")])
            else:
                self.say("")
                self.pager.show(lines)
            if not self._again:
                return


class Describe(Asked):
    def __init__(self, cluster: Cluster, noun: Noun, key: str) -> None:
        super().__init__(cluster, "describe", noun, key)

    async def ask(self) -> list[Line]:
        return await self.cluster.ask(describe(self.cluster.store, self.noun, self.key))


class Why(Asked):
    """Why the tasks of a row wait, or have failed."""

    def __init__(self, cluster: Cluster, noun: Noun, key: str) -> None:
        super().__init__(cluster, "why", noun, key)

    async def ask(self) -> list[Line]:
        return await self.cluster.ask(why(self.cluster.store, self.noun, self.key))


class Yaml(Asked):
    """A job as a file of it; anything else as the API has it."""

    def __init__(self, cluster: Cluster, noun: Noun, key: str) -> None:
        super().__init__(cluster, "yaml", noun, key)

    async def ask(self) -> list[Line]:
        return list(yaml_lines(await self.cluster.ask(yaml_of(self.cluster.store, self.noun, self.key))))
