"""Screens of one row, opened by their names; each is loaded when it is first wanted."""

from collections.abc import Sequence
from typing import Any

from textual.screen import Screen

from orion.model.api.watch import Noun
from orion.tui.cluster import Cluster

Opened = Screen[Any]


def describe(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.describe import Describe

    return Describe(cluster, noun, key)


def yaml(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.describe import Yaml

    return Yaml(cluster, noun, key)


def why(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.describe import Why

    return Why(cluster, noun, key)


def logs(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.logs import Logs

    return Logs(cluster, noun, key)


def previous(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.logs import Logs

    return Logs(cluster, noun, key, previous=True)


def use(cluster: Cluster, noun: Noun, key: str) -> Opened:
    return use_together(cluster, noun, [key] if key else [])


def use_together(cluster: Cluster, noun: Noun, keys: Sequence[str]) -> Opened:
    from orion.tui.screens.use import Use

    return Use(cluster, noun, keys)


def events(cluster: Cluster, noun: Noun, key: str) -> Opened:
    from orion.tui.screens.events import Events
    from orion.tui.texts.asking import job_of, task_of

    subject = job_of(cluster.store, noun, key) if noun is Noun.DEPLOYMENTS else key
    return Events(cluster, [task_of(cluster.store, noun, subject)])


BY_WORD = {"describe": describe, "yaml": yaml, "why": why, "logs": logs, "events": events, "use": use}
