"""`orion top` from its command line to its end."""

from pathlib import Path

from orion.tui.app import Top
from orion.tui.feed import Feed
from orion.tui.settings import SettingsFile, default_path


def start(addresses: str, *, view: str, read_only: bool, pause_s: float, settings: Path | None) -> None:
    """Runs until somebody leaves. `view`: a command of the bar that is done first, "" for none."""
    file = SettingsFile(settings or default_path(), _words)
    app = Top(Feed(addresses), file, read_only=read_only, pause_s=pause_s, first=view)
    app.run(mouse=file.settings.mouse)


def _words() -> frozenset[str]:
    """The words of all actions. They are loaded for settings that name one."""
    from orion.tui.actions.table import WORDS

    return frozenset(WORDS)
