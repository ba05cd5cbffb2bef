"""The cluster's pulse in lines."""

from collections import Counter
from collections.abc import Iterable, Iterator

from orion.client import NodeView, RaftView
from orion.model.api.deployments import DeploymentView
from orion.model.api.watch import JobRow, Noun, TaskRow
from orion.model.counts import several
from orion.tui.lines import Line, Part, cut, plain, state_look
from orion.tui.store import Store
from orion.tui.texts.pulse import Pulse, cpu_used, memory_used, share_of
from orion.tui.texts.sparks import bar, percent, spark

MOST_REASONS = 10
HIGH = 0.9  # a share that is near its end
_SPARK = 24
_NAME = 20
_WELL = ("alive", "drained")


def pulse_lines(store: Store, pulse: Pulse, width: int, *, live: bool = True, old_s: float = 0.0) -> list[Line]:
    """`live`: it goes on, and has figures of what has happened since it began. `old_s`: all that the cluster has
    said is so old, where that is worth saying.
    """
    old = f"as of {int(old_s)} s ago: nothing that is newer comes from the cluster" if old_s else ""
    lines = [
        *([plain(old, "bad"), ()] if old else ()),
        *_consensus(store, pulse, old=bool(old)),
        *(_course(pulse) if live else _mean(pulse)),
        (),
        *_counts(store),
        *_waiting(store),
        (),
        *_nodes(store, pulse, width),
    ]
    return [cut(line, width) for line in lines]


def _name(word: str) -> Part:
    return Part(f"{word:<12}", "dim")


# --- consensus ------------------------------------------------------------------------------------------------


def _consensus(store: Store, pulse: Pulse, *, old: bool = False) -> Iterator[Line]:
    raft = pulse.last.raft if pulse.last is not None else None
    leader = store.leader or (raft.leader if raft else "") or ""
    term = f" in term {raft.term}" if raft else ""
    if old and leader:
        yield _name("leader"), Part(f"was {leader}{term}", "warn")
        return
    yield _name("leader"), Part(leader or "nobody leads", "good" if leader else "bad"), Part(term)
    if raft is None:
        return
    yield from _voters(raft)


def _mean(pulse: Pulse) -> Iterator[Line]:
    if pulse.mean_ms is not None:
        yield _name("commit"), Part(f"{pulse.mean_ms:.1f} ms on average")


def _course(pulse: Pulse) -> Iterator[Line]:
    if pulse.last is None:
        return
    now = next((each for each in reversed(pulse.commit_ms) if each is not None), None)
    shown = [
        f"{now:.1f} ms" if now is not None else "",
        f"{pulse.mean_ms:.1f} ms on average" if pulse.mean_ms else "",
    ]
    known = ", ".join(filter(None, shown)) or "not known"
    yield _name("commit"), Part(spark(list(pulse.commit_ms), _SPARK)), Part(f"  {known}")
    rate = next((each for each in reversed(pulse.commits) if each is not None), None)
    said = f"  {rate:,.0f}/s" if rate is not None else "  not known"
    yield _name("commits"), Part(spark(list(pulse.commits), _SPARK)), Part(said)
    elections = several(pulse.elections, "election") if pulse.elections else "none"
    yield _name("elections"), Part(f"{elections} while this is open", "warn" if pulse.elections else "")


def _voters(raft: RaftView) -> Iterator[Line]:
    down = [member.id for member in raft.voters if member.status not in ("", *_WELL, "draining")]
    voters = f"{len(raft.voters) - len(down)} of {several(len(raft.voters), 'voter')} well"
    lags = [member.lag for member in (*raft.voters, *raft.learners) if member.lag is not None]
    most = max(lags, default=0)
    behind = f", the last is {several(most, 'entry', 'entries')} behind" if most else ""
    majority = len(raft.voters) // 2 + 1
    look = "good" if not down else "bad" if len(raft.voters) - len(down) < majority else "warn"
    yield _name("voters"), Part(voters, look), Part(f"{behind}{': not ' + ', '.join(down) if down else ''}")
    for sentence in filter(None, (*raft.next, raft.level_outlook)):
        yield _name(""), Part(sentence, "warn")


# --- what there is --------------------------------------------------------------------------------------------


def _counts(store: Store) -> Iterator[Line]:
    nodes = Counter(row.status for row in _rows(store, Noun.NODES) if isinstance(row, NodeView))
    yield _name("nodes"), *_states(nodes)
    jobs = [row for row in _rows(store, Noun.JOBS) if isinstance(row, JobRow)]
    short = [row for row in jobs if not row.stopped and row.kind in ("service", "system") and row.ready < row.count]
    said = Part(f", {len(short):,} with less than they ask for", "warn") if short else Part("")
    yield _name("jobs"), Part(f"{len(jobs):,}"), said
    tasks = Counter(row.state for row in _rows(store, Noun.TASKS) if isinstance(row, TaskRow))
    yield _name("tasks"), *_states(tasks)
    rows = [row for row in _rows(store, Noun.DEPLOYMENTS) if isinstance(row, DeploymentView)]
    going = Counter(row.state for row in rows if row.state in ("running", "paused"))
    if going:
        yield _name("deployments"), *_states(going)


def _states(counts: Counter[str]) -> Iterator[Part]:
    if not counts:
        yield Part("none", "dim")
    for at, (state, count) in enumerate(sorted(counts.items(), key=lambda each: (-each[1], each[0]))):
        yield Part(f"{', ' if at else ''}{count:,} {state}", state_look(state))


def _waiting(store: Store) -> Iterator[Line]:
    """Yields why tasks have no node, the most frequent reason first."""
    tasks = (row for row in _rows(store, Noun.TASKS) if isinstance(row, TaskRow))
    reasons: dict[str, list[str]] = {}
    for row in tasks:
        if row.state in ("pending", "waiting"):
            reasons.setdefault(row.reason or "not looked at yet", []).append(row.id)
    if not reasons:
        return
    yield ()
    yield plain("Waiting, by reason", "title")
    most = sorted(reasons.items(), key=lambda each: (-len(each[1]), each[0]))
    for reason, ids in most[:MOST_REASONS]:
        more = f" and {len(ids) - 1:,} more" if len(ids) > 1 else ""
        yield Part(f"{len(ids):>6,}  ", "warn"), Part(reason), Part(f"  ({min(ids)}{more})", "dim")
    if len(most) > MOST_REASONS:
        yield plain(f"        and {several(len(most) - MOST_REASONS, 'other reason')}", "dim")


def _rows(store: Store, noun: Noun) -> Iterable[object]:
    return store.tables[noun].values()


# --- nodes ----------------------------------------------------------------------------------------------------


def _nodes(store: Store, pulse: Pulse, width: int) -> Iterator[Line]:
    nodes = [row for row in _rows(store, Noun.NODES) if isinstance(row, NodeView)]
    names = min(_NAME, max((len(node.name) for node in nodes), default=4))
    room = max(4, min(20, (width - names - 10 - 26) // 4))
    heads = ("given", "used", "given", "used")
    titles = "".join(f"{head:<{room + 6}}" for head in heads)
    yield plain(f"{'':<{names + 11}}{'cpu, of all cores':<{2 * room + 12}}memory", "dim")
    yield plain(f"{'node':<{names + 11}}{titles}".rstrip(), "dim")
    for node in sorted(nodes, key=lambda row: (row.status in _WELL, row.name)):
        given = (share_of(node.cpu.given, node.cpu.total), share_of(node.memory.given, node.memory.total))
        yield (
            Part(f"{node.name[:names]:<{names}} "),
            Part(f"{node.status:<9} ", state_look(node.status)),
            *_given(given[0], room),
            *_used(list(pulse.cpu.get(node.name, ())) or [cpu_used(node)], room),
            *_given(given[1], room),
            *_used(list(pulse.memory.get(node.name, ())) or [memory_used(node)], room),
        )


def _given(share: float | None, room: int) -> Iterator[Part]:
    yield Part(bar(share, room), "dim")
    yield Part(f"{percent(share)}  ", _look(share))


def _used(series: list[float | None], room: int) -> Iterator[Part]:
    yield Part(spark(series, room, 1.0), _look(series[-1]) or "good")
    yield Part(f"{percent(series[-1])}  ", _look(series[-1]))


def _look(share: float | None) -> str:
    return "bad" if share is not None and share >= HIGH else ""
