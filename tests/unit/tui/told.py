"""A scripted cluster that the whole app follows, and the app over it."""

import time
from pathlib import Path

from orion.client.watch import Current, Rows
from orion.model.api.cluster import RaftView
from orion.model.api.watch import key_of
from orion.tui.app import Top
from orion.tui.settings import SettingsFile
from unit.tui.rows import tables
from unit.tui.scripted import Scripted

RAFT = RaftView("c0ffee00", "leader", 3, "node1", 12, 12, [], [], 1, 0, 3)


class Told(Scripted):
    """Fulfils Source."""

    def __init__(self, rows=None, **answers):
        super().__init__(raft=RAFT, **answers)
        self.on_news = lambda _: None
        self.trouble = ""
        self.moves = 0
        self.old_s = 0.0  # what is heard, however long a test takes
        self.cluster = "c0ffee00"
        self.began = self.closed = self.asked_to_move = False
        for noun, found in (tables() if rows is None else rows).items():
            self.store.take(Rows(noun, list(found.values()), begins=True), 0.0)
        self.store.take(Current(9, "node1"), time.monotonic())

    @property
    def age_s(self):
        return None if self.store.heard_s is None else self.old_s

    def start(self):
        self.began = True
        self.on_news(set(self.store.tables))

    def close(self):
        self.closed = True

    def look(self):
        """It is always there."""

    def move(self):
        self.asked_to_move = True

    def change(self, noun, *rows, gone=()):
        """A change of rows of a noun, as it comes."""
        self.store.take(Rows(noun, list(rows), list(gone)), time.monotonic())
        self.on_news(self.store.take(Current(self.store.index + 1, self.store.leader), time.monotonic()))

    def keys(self, noun):
        return [key_of(noun, row) for row in self.store.tables[noun].values()]


def top(cluster=None, tmp_path=None, **more):
    """The app; its settings are in `tmp_path`, where one is given."""
    file = SettingsFile((tmp_path or Path("/nonexistent")) / "top.toml")
    return Top(cluster or Told(), file, **more)
