"""The screens that are no tables, by name. Each is loaded when it is asked for."""

from collections.abc import Callable

from textual.screen import Screen

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster
from orion.tui.keys import Key

Make = Callable[[Cluster, Noun, str], Screen[None]]

KEYS: tuple[Key, ...] = (
    Key("d", "describe", "all that is known of it", "describe"),
    Key("w", "why", "why it waits, or has failed", "why"),
    Key("l", "logs", "what its tasks have written", "logs"),
    Key("p", "previous", "what the run before has written"),
    Key("y", "yaml", "as YAML", "yaml"),
    Key("v", "events", "what has happened to it", "events"),
)

# What has logs; the others have none.
LOGS = (Noun.JOBS, Noun.TASKS, Noun.ALLOCATIONS)
WHY = (Noun.JOBS, Noun.TASKS, Noun.ALLOCATIONS, Noun.DEPLOYMENTS)


def keys_of(noun: Noun) -> tuple[Key, ...]:
    """Those of a noun's rows."""
    without = set()
    if noun not in LOGS:
        without |= {"logs", "previous"}
    if noun not in WHY:
        without.add("why")
    return tuple(each for each in KEYS if each.does not in without)


def describe(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.describe import Describe

    return Describe(cluster, noun, key)


def why(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.describe import Why

    return Why(cluster, noun, key)


def yaml(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.describe import Yaml

    return Yaml(cluster, noun, key)


def logs(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.logs import Logs

    return Logs(cluster, noun, key)


def previous(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.logs import Logs

    return Logs(cluster, noun, key, previous=True)


def events(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.events import Events

    del noun
    return Events(cluster, (key,) if key else ())


def packing(cluster: Cluster, noun: Noun, key: str) -> Screen[None]:
    from orion.tui.screens.packing import Packing

    del noun, key
    return Packing(cluster)


SCREENS: dict[str, Make] = {
    "describe": describe,
    "why": why,
    "yaml": yaml,
    "logs": logs,
    "previous": previous,
    "events": events,
    "packing": packing,
}
# Those that are nothing without a row.
OF_A_ROW = frozenset({"describe", "why", "yaml", "logs", "previous"})
