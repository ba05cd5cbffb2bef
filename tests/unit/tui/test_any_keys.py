"""Any keys, in any order, while rows come and go: the dashboard stays, and its cursor is on a row that there is."""

import random

import pytest
from textual.events import Key

from orion.model.api.watch import Noun
from orion.model.errors import Refused
from orion.tui.keys import KEYS, MOVES
from orion.tui.views import VIEWS
from unit.tui.rows import node, task
from unit.tui.scripted import piloted
from unit.tui.told import Told, top

NAMED = {"esc": "escape", "ctrl-space": "ctrl+@", "ctrl-\\": "ctrl+backslash", ":": "colon", "/": "slash"}
LETTERS = "abdhlmnoprtuvwxyzABCDEHIKMNOPRSTUVWXZ0123"  # but those that give the terminal to other programs
LEAVES = {":quit", "save", "copy"}
SCREENS = ("pulses", "packing", "xray", "events", "raft", "forwards", "aliases")


class Refusing(Told):
    """A cluster that refuses all that it is asked."""

    def __init__(self):
        super().__init__()
        self.answers = _Refusals()


class _Refusals:
    def __getitem__(self, name):
        return iter(()) if name in ("logs", "events") else Refused(f"no {name}")


def any_key(draw):
    key = draw.choice([*(each.key for each in (*KEYS, *MOVES) if each.does not in LEAVES), *LETTERS])
    return Key(NAMED.get(key, key.replace("-", "+") if len(key) > 1 else key), key if len(key) == 1 else None)


@pytest.mark.parametrize("seed", range(2))
def test_any_keys_are_taken(seed):
    @piloted
    async def pressed():
        draw, cluster = random.Random(seed), Refusing()
        app = top(cluster)
        async with app.run_test(size=draw.choice([(80, 24), (30, 8)])) as pilot:
            for _ in range(100):
                if draw.random() < 0.08:
                    app.run_command(draw.choice([*VIEWS, *SCREENS]))
                app.post_message(any_key(draw))
                if draw.random() < 0.3:
                    state = draw.choice(("running", "failed", "pending"))
                    cluster.change(Noun.TASKS, task("web/1", state=state), gone=[f"web/{draw.randrange(2, 5)}"])
                    cluster.change(Noun.NODES, *[node("node1")] * draw.randrange(2), gone=["node2"])
                if draw.random() < 0.3:
                    await pilot.pause()
            await pilot.pause()
            browser = app.browser
            browser.rows_changed(set(Noun))
            assert browser.table.key == browser.desk.listing.key_at(browser.table.sheet.at)

    pressed()
