"""Every view of one small cluster on a terminal of 80x24, compared with pictures that somebody has looked at.

After a change that is meant, ORION_PICTURES=write pytest tests/unit/tui/test_pictures.py: then look at the diff.
"""

import os
from pathlib import Path

import pytest

from orion.tui.views import VIEWS
from unit.tui.rows import BORN_S
from unit.tui.scripted import piloted, text_on, until
from unit.tui.told import top

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture
def five_minutes_later(monkeypatch):
    monkeypatch.setattr("orion.tui.table.time.time", lambda: BORN_S + 300)


def compare(name, text):
    file = PICTURES / f"{name}.txt"
    if os.environ.get("ORION_PICTURES") == "write":
        PICTURES.mkdir(exist_ok=True)
        file.write_text(f"{text}\n")
    assert f"{text}\n" == file.read_text()


@pytest.mark.parametrize(("kind", "size"), [("", (80, 24)), ("-wide", (200, 24))])
def test_views_are_as_their_pictures(five_minutes_later, kind, size):
    @piloted
    async def drawn():
        app = top()
        async with app.run_test(size=size) as pilot:
            for view in VIEWS:
                app.run_command(view)
                if kind and not app.browser.desk.wide:
                    app.browser.do_wide()
                await until(pilot, lambda: f" {app.browser.desk.view.name} [" in text_on(app))
                await pilot.pause()
                compare(f"{view}{kind}", text_on(app))

    drawn()


def test_no_picture_is_of_what_is_gone():
    names = {file.stem for file in PICTURES.iterdir()}
    assert names == {f"{view}{kind}" for view in VIEWS for kind in ("", "-wide")}
