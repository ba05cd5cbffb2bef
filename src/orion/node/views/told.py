"""Nouns as a follower was told of them, and the rows of each that are others now."""

from collections.abc import Callable, Collection, Iterator

from orion.model.api.watch import Noun, Row, key_of
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.rpc.reads import ALL
from orion.node.views import render, render_jobs, render_networks, render_volumes
from orion.node.views.told_jobs import Change, ToldJobs
from orion.state.records import NodeRecord
from orion.state.view import View

_OF_JOBS = frozenset((Noun.JOBS, Noun.TASKS, Noun.ALLOCATIONS))
# All their rows are made at each look, some with a look at all jobs, so there are fewer of those.
_WHOLE: dict[Noun, Callable[[View], list[Row]]] = {
    Noun.DEPLOYMENTS: lambda view: [*render_jobs.deployments(view, ALL)[0]],
    Noun.VOLUMES: lambda view: [*render_volumes.volumes(view)],
    Noun.NETWORKS: lambda view: [*render_networks.summaries(view)],
    Noun.CONFIGS: lambda view: [*render.configs(view, "", ALL)[0]],
}


class Told:
    """One follower's memory, of these nouns."""

    def __init__(self, driver: RaftDriver, directory: Directory, nouns: Collection[Noun]) -> None:
        self._driver = driver
        self._nouns = nouns
        self._nodes = _ToldNodes(driver, directory) if Noun.NODES in nouns else None
        self._jobs = ToldJobs() if _OF_JOBS.intersection(nouns) else None
        self._wholes = {noun: _ToldWhole(noun) for noun in _WHOLE if noun in nouns}

    def changes(self, *, wholes: bool) -> Iterator[list[Change]]:
        """In pieces, between which the caller may breathe. `wholes`: also of nouns that cost more to look at."""
        if self._nodes is not None:
            yield [self._nodes.change()]
        if self._jobs is not None:
            for changes in self._jobs.changes(self._driver.view):
                yield [change for change in changes if change.noun in self._nouns]
        if wholes:
            for each in self._wholes.values():
                yield [each.change(self._driver.view)]


class _ToldWhole:
    """A noun of which all rows are made, and compared with those before."""

    def __init__(self, noun: Noun) -> None:
        self._noun = noun
        self._told: dict[str, Row] = {}

    def change(self, view: View) -> Change:
        now = {key_of(self._noun, row): row for row in _WHOLE[self._noun](view)}
        former, self._told = self._told, now
        rows = [row for key, row in now.items() if former.get(key) != row]
        return Change(self._noun, rows, [key for key in former if key not in now])


class _ToldNodes:
    """Nodes change with every placement, and with what gossip brings: only those that did are made anew."""

    def __init__(self, driver: RaftDriver, directory: Directory) -> None:
        self._driver = driver
        self._directory = directory
        self._told: dict[str, tuple[object, ...]] = {}

    def change(self) -> Change:
        driver, former = self._driver, self._told
        roles, led = render.Roles(driver), bool(driver.standing.leader)
        self._told, rows = {}, list[Row]()
        for record in driver.view.node_records():
            seen = self._directory.seen(record.node.id)
            mark = (*_given(record), seen, roles.of(record.node.raft_id), led)
            self._told[record.node.id] = mark
            if former.get(record.node.id) != mark:
                rows.append(render.node_view(record, seen, roles, led=led))
        return Change(Noun.NODES, rows, [name for name in former if name not in self._told])


def _given(record: NodeRecord) -> tuple[object, ...]:
    return record.node, record.cpu_free, record.memory_free, record.disk_free, record.active
