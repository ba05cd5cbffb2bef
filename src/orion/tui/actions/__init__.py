"""Actions: all that can be done to rows, by key. `actions_of` lists them for a noun, `perform` does one.

for action in actions_of(noun, read_only=read_only):
    ...                                                      # action.key, action.word, action.does
app.run_worker(perform(Stage(app, cluster, tell, begun), action, noun, keys))
"""

from orion.tui.actions.action import Action, Stage
from orion.tui.actions.perform import perform
from orion.tui.actions.table import actions_of

__all__ = ["Action", "Stage", "actions_of", "perform"]
