"""All that can be done with rows. It is loaded once the first rows are shown: half of the program is behind it."""

from collections.abc import Callable
from typing import Any

from textual.app import App

from orion.model.api.watch import Noun
from orion.tui.actions import Stage, actions_of, perform
from orion.tui.cluster import Cluster
from orion.tui.columns import View
from orion.tui.keys import Key, canonical
from orion.tui.screens.forwards import Forwards

HINTED = 4  # actions of a noun that are always shown, unless its view says which


class Doing:
    """`say`: a sentence, and whether it is of a failure. `begun`: is told of a deployment that was begun from here.
    `read_only`: nothing is there that changes the cluster.
    """

    def __init__(
        self,
        app: App[Any],
        cluster: Cluster,
        say: Callable[[str, bool], None],
        begun: Callable[[int], None],
        *,
        read_only: bool,
    ) -> None:
        self._app = app
        self._stage = Stage(app, cluster, say, begun)
        self._read_only = read_only

    def end(self) -> None:
        self._stage.forwards.end_all()

    def forwards(self) -> Forwards:
        """Returns the screen of the ports that are forwarded."""
        return Forwards(self._stage.cluster, self._stage.forwards)

    def act(self, does: str, noun: Noun, keys: list[str]) -> None:
        """Does something with rows of a noun, by its word."""
        action = next((each for each in actions_of(noun) if each.word == does), None)
        if action is None:
            self._stage.tell(f"there is no {does} of {noun}", True)
        elif self._read_only and action.changes:
            self._stage.tell(f"{does}: nothing is changed from here, this is read-only", True)
        elif not keys:
            self._stage.tell("there is no row", True)
        else:
            self._app.run_worker(perform(self._stage, action, noun, keys))

    def keys_of(self, view: View) -> tuple[Key, ...]:
        """Returns the keys of what can be done with rows of a view."""
        actions = actions_of(view.noun)
        hinted = view.hints or [each.word for each in actions[:HINTED]]
        return tuple(
            Key(
                canonical(each.key),
                each.word,
                f"{each.does[:1].lower()}{each.does[1:]}",
                each.word if each.word in hinted else "",
                locked=self._read_only and each.changes,
            )
            for each in actions
        )
