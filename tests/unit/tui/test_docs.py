"""docs/top.md: its settings are right, and what it says of keys holds."""

import re
from pathlib import Path

from orion.tui.actions.table import WORDS
from orion.tui.keys import KEYS
from orion.tui.settings import read_settings
from orion.tui.views import VIEWS

PAGE = (Path(__file__).parents[3] / "docs" / "top.md").read_text()


def test_the_settings_are_right():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert read_settings(example, lambda: WORDS).aliases


def test_all_that_a_key_may_do_is_named():
    told = set(re.findall(r"`([^`\n]+)`", PAGE[PAGE.index("What a key does:") :]))
    names = WORDS | {each.does for each in KEYS if not each.does.startswith(":")}
    assert told == names


def test_all_views_are_named():
    assert set(VIEWS) <= set(re.findall(r"`([a-z]+)`", PAGE))
