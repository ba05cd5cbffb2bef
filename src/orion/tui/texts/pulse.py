"""The cluster's pulse: measures, and what follows from two of them. Pure but for `measure`."""

from collections import deque
from collections.abc import Callable

import msgspec

from orion.client import Client, NodeView, RaftView
from orion.model.api.watch import Noun
from orion.model.errors import OrionError
from orion.tui.store import Store
from orion.tui.texts.prometheus import figure, read_figures

MOST = 120  # measures that are remembered
LEADER_S = 2.0  # for the leader to answer, where it is not the node that is asked
_GONE = ("dead", "left")
_COUNT, _TOTAL = "orion_raft_commits_total", "orion_raft_commit_seconds_total"


class Measure(msgspec.Struct, frozen=True):
    """`commits`, `commit_s`: counters of the leader's; None where it did not say."""

    raft: RaftView
    commits: float | None = None
    commit_s: float | None = None


def measure(client: Client, leader: str, connect: Callable[..., Client] = Client) -> Measure:
    """Asks for consensus as the node sees it, and the leader, by its address, for its figures. Without those where
    the leader does not answer. Raises OrionError where not even the node that is asked does.
    """
    raft = client.raft()
    try:
        if leader in ("", client.address):
            text = client.metrics()
        else:
            with connect(leader, timeout_s=LEADER_S) as other:
                if other.raft().cluster != raft.cluster:  # its address means another one here
                    return Measure(raft)
                text = other.metrics()
    except OrionError:
        return Measure(raft)
    figures = read_figures(text)
    return Measure(raft, figure(figures, _COUNT), figure(figures, _TOTAL))


def leader_address(store: Store) -> str:
    """Returns where the API of the node that leads is; "" while none does."""
    row = store.tables[Noun.NODES].get(store.leader)
    return row.api_address if isinstance(row, NodeView) else ""


class Pulse:
    """Series of what was measured, the oldest first; None where it is not known."""

    def __init__(self) -> None:
        self.last: Measure | None = None
        self.commit_ms: deque[float | None] = deque(maxlen=MOST)
        self.commits: deque[float | None] = deque(maxlen=MOST)  # between two measures
        self.elections = 0  # since the first measure
        self.cpu: dict[str, deque[float | None]] = {}  # of each node what is used, from 0 to 1
        self.memory: dict[str, deque[float | None]] = {}
        self._first_term: int | None = None

    def take(self, now: Measure, store: Store) -> None:
        before, self.last = self.last, now
        term = now.raft.term
        self._first_term = term if self._first_term is None else self._first_term
        self.elections = max(self.elections, term - self._first_term)
        count, total = _since(before, now)
        self.commits.append(count)
        self.commit_ms.append(1000 * total / count if count and total is not None else None)
        nodes = [row for row in store.tables[Noun.NODES].values() if isinstance(row, NodeView)]
        for series, used in ((self.cpu, cpu_used), (self.memory, memory_used)):
            for gone in series.keys() - {node.name for node in nodes}:
                del series[gone]
            for node in nodes:
                series.setdefault(node.name, deque(maxlen=MOST)).append(used(node))

    @property
    def mean_ms(self) -> float | None:
        """How long a commit took on the average, since the leader's process began."""
        last = self.last
        if last is None or not last.commits or last.commit_s is None:
            return None
        return 1000 * last.commit_s / last.commits


def _since(before: Measure | None, now: Measure) -> tuple[float | None, float | None]:
    """Returns commits and their time between two measures; None where another node leads by now, or it is new."""
    if before is None or before.raft.leader != now.raft.leader:
        return None, None
    pairs = ((before.commits, now.commits), (before.commit_s, now.commit_s))
    count, total = (None if a is None or b is None or b < a else b - a for a, b in pairs)
    return count, total


def cpu_used(node: NodeView) -> float | None:
    """Returns None for a node that is gone: nothing measures it any more."""
    return None if node.status in _GONE else share_of(node.cpu.used, node.cpu.total)


def memory_used(node: NodeView) -> float | None:
    return None if node.status in _GONE else share_of(node.memory.used, node.memory.total)


def share_of(part: float | None, total: float) -> float | None:
    return None if part is None or not total else part / total
