"""A config's value edited in $EDITOR; what differs is shown before it is put."""

import difflib
from collections.abc import Iterator

from orion.model.api.watch import Noun
from orion.model.errors import Refused
from orion.tui.actions.action import Stage
from orion.tui.actions.edit import edited
from orion.tui.lines import Line, plain
from orion.tui.screens.confirm import Confirm

_LOOKS = {"+": "good", "-": "bad", "@": "dim"}


async def edit_config(stage: Stage, noun: Noun, key: str) -> None:
    """Raises OrionError; Conflict where somebody has put another value meanwhile."""
    del noun
    value, view = await stage.cluster.ask(lambda client: client.config_and_view(key))
    before = as_text(key, value, folder=view.folder)
    after = edited(stage, before, key.replace("/", "-"), ending=".txt")
    if after == before:
        stage.tell(f"{key} is left as it is", False)
        return
    if not await stage.app.push_screen_wait(Confirm(f"Put {key}?", list(differences(before, after)), "put it")):
        stage.tell(f"{key} is left as it is", False)
        return
    put = await stage.cluster.ask(lambda client: client.put_config(key, after.encode(), if_version=view.version))
    stage.tell(f"{key} is at version {put.version}; tasks that start from now on have it", False)


def as_text(key: str, value: bytes, *, folder: bool) -> str:
    if folder:
        raise Refused(f"{key} is a folder: 'orion config get' unpacks it, and 'orion config put' takes it")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused(f"the value of {key} is no text: 'orion config put {key}' takes a file") from None


def differences(before: str, after: str) -> Iterator[Line]:
    """Yields the lines that differ, with those around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    for line in list(lines)[2:]:
        yield plain(line, _LOOKS.get(line[:1], ""))
