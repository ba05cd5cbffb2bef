"""Volumes of storage systems on the command line: their options, and the wait until their plugin is done."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from orion.model.api.storage import NewVolumeRequest, VolumeSnapshotView
    from orion.model.api.volumes import VolumeView
    from orion.model.errors import FieldError, Invalid

T = TypeVar("T", "VolumeView", "VolumeSnapshotView")

# As in model/csi.py, which most commands start without.
ACCESS = (
    "single-node-writer",
    "single-node-reader-only",
    "multi-node-reader-only",
    "multi-node-single-writer",
    "multi-node-multi-writer",
    "single-node-single-writer",
    "single-node-multi-writer",
)
# The fields of requests, by the options that ask for them.
OPTIONS = {
    "driver": "--driver",
    "sizeBytes": "--size",
    "limitBytes": "--limit",
    "access": "--access",
    "block": "--block",
    "fsType": "--fs-type",
    "mountFlags": "--mount-flag",
    "parameters": "--parameter",
    "secrets": "--secret",
    "source": "--from",
    "id": "--id",
    "labels": "--label",
}
_FIELD = re.compile(r"\b(sizeBytes|limitBytes|fsType|mountFlags)\b")  # names that are no words else

WAIT_S = 300.0  # a plugin may copy a large volume
LOOK_S = 0.2
NODES_S = 10.0  # that nodes have to grow what has grown in its storage system


class Pair(click.ParamType[tuple[str, str]]):
    """`name=value`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not name=value", param, ctx)
        return key, text


class Secret(click.ParamType[tuple[str, str]]):
    """`name=value`, or `name=@FILE` for what is in it. No error shows the value."""

    name = "name=value|name=@file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail("a secret is written as name=value, or as name=@FILE", param, ctx)
        if not text.startswith("@"):
            return key, text
        try:
            return key, Path(text[1:]).read_text().removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            self.fail(f"the file of secret {key} can't be read: {why}", param, ctx)


class Source(click.ParamType[str]):
    """`volume:NAME` or `snapshot:NAME`."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, _, name = str(value).partition(":")
        if not value:
            return ""
        if kind not in ("volume", "snapshot") or not name:
            self.fail(f"{value!r} is no source: write volume:NAME or snapshot:NAME", param, ctx)
        return str(value)


def bad_usage(error: "Invalid", **as_typed: str) -> click.UsageError:
    """Returns an error that says of options what the cluster says of the fields that they asked for. `as_typed`:
    of a command whose words for some fields are others.
    """
    names = OPTIONS | as_typed
    return click.UsageError("; ".join(_of_option(each, names) for each in error.errors) or error.detail)


def _of_option(error: "FieldError", names: dict[str, str]) -> str:
    field = error.pointer.split("/")[1] if error.pointer else ""
    words = error.message.removeprefix(f"{field} ")
    words = words if words != error.message or field not in names else f": {words}"
    words = _FIELD.sub(lambda found: names[found[0]], words)
    name = names.get(field, field)
    return f"{name}{words}" if words.startswith(":") else f"{name} {words}".strip()


def no_plugin_asked(request: "NewVolumeRequest") -> str:
    """Returns how a request asks a node's directory for what only a storage plugin has; "" where it does not."""
    from orion.model.api.storage import LOCAL, of_no_plugin

    field = of_no_plugin(request) if request.driver in ("", LOCAL) else ""
    return f"{OPTIONS[field]} is for a storage plugin: name one with --driver ('orion plugin ls')" if field else ""


def wait_until(
    look: Callable[[], T], settled: Callable[[T], bool], what: str, seconds: float = WAIT_S
) -> tuple[T | None, int]:
    """Returns it once it is settled, None once it is gone; and the exit code. Says on standard error why not."""
    from orion.cli.app import INTERRUPTED, TIMED_OUT, say
    from orion.cli.shared.output import note
    from orion.cli.shared.waiting import Deadline
    from orion.model.errors import NotFound

    deadline, told = Deadline(seconds), ""
    try:
        while True:
            try:
                found = look()
            except NotFound:
                return None, 0
            if settled(found):
                return found, 0
            if is_refused(found):
                say(f"{what} is not made: {why_not(found)}")
                return found, 1
            if (why := why_not(found)) and why != told:
                note(f"{what}: {why}")
                told = why
            if deadline.passed:
                say(f"{what} is still {found.state} after {seconds:g} s; it goes on, see 'orion volume ls'")
                return found, TIMED_OUT
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        say(f"{what} goes on without you: 'orion volume ls' shows it")
        return None, INTERRUPTED


def found_or_none(look: Callable[[], T]) -> T | None:
    from orion.model.errors import NotFound

    try:
        return look()
    except NotFound:
        return None


def say_if_former(taken: "VolumeSnapshotView", former: "VolumeSnapshotView | None") -> None:
    """Says that a snapshot is the one that was there before it was asked for, if it is."""
    from orion.cli.shared.output import note

    if former is not None and former.created_index == taken.created_index:
        since = former.taken_at or former.created_at
        note(f"snapshot {taken.name} is there already, of {since}: nothing newer is taken under this name")


def is_refused(found: "VolumeView | VolumeSnapshotView") -> bool:
    return bool(getattr(getattr(found, "storage", found), "refused", False))


def state_text(found: "VolumeView | VolumeSnapshotView") -> str:
    return "refused" if is_refused(found) else found.state


def why_not(found: "VolumeView | VolumeSnapshotView") -> str:
    """Returns why it is not as it is to be: in its storage system, and on each node that has it."""
    storage = getattr(found, "storage", None)
    if storage is None:
        return str(getattr(found, "why", ""))
    claims = (f"{each.node_id}: {each.why}" for each in storage.claims if each.why)
    return "; ".join(filter(None, (storage.why, *claims)))


def nodes_behind(look: Callable[[], "VolumeView"], seconds: float) -> str:
    """Waits for a while until all on the nodes that have a volume is as it is to be. Returns which are not, and
    why; "" for none.
    """
    from orion.cli.shared.waiting import Deadline

    deadline = Deadline(min(seconds, NODES_S))
    while True:
        storage = look().storage
        claims = [each for each in storage.claims if each.settled is False] if storage is not None else []
        if not claims or deadline.passed:
            return "; ".join(f"{each.node_id}{f': {each.why}' if each.why else ''}" for each in claims)
        time.sleep(LOOK_S)
