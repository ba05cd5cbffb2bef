"""Consensus in lines: who leads, who votes, how far each is."""

from collections.abc import Iterator

from orion.client import MemberView, RaftView
from orion.tui.lines import Line, Part, fields, plain, table
from orion.tui.texts.words import age_of

_ALONE = (
    "Without a leader nothing can be changed. If a majority of the voters is lost for good, one that is left can go"
    " on alone: orion raft recover --help"
)


def raft_lines(view: RaftView) -> Iterator[Line]:
    yield from fields(
        (
            ("leader", view.leader or "nobody leads"),
            ("term", str(view.term)),
            ("the node asked", view.state),
            ("log", f"{view.first_index:,} to {view.commit_index:,} committed, applied to {view.applied_index:,}"),
            ("snapshot", f"at {view.snapshot_index:,}" if view.snapshot_index else "none yet"),
            ("format level", str(view.level)),
            ("tasks", f"{view.task_count:,}"),
            ("cluster", view.cluster),
        )
    )
    yield ()

    def by_leader(member: MemberView) -> tuple[bool, str]:
        return member.id != view.leader, member.id

    parts = (("voter", view.voters), ("standby", view.learners), ("worker", view.workers))
    rows = (_row(member, role, view.leader) for role, members in parts for member in sorted(members, key=by_leader))
    yield from table(("node", "role", "status", "since", "match", "behind", "state"), rows, "")
    for sentence in filter(None, (*view.next, view.level_outlook)):
        yield plain(sentence, "warn")
    if not view.leader:
        yield (Part(_ALONE, "bad"),)


def _row(member: MemberView, role: str, leader: str | None) -> tuple[str, ...]:
    return (
        member.id,
        "leader" if member.id == leader else role,
        member.status,
        age_of(member.since),
        "" if member.match is None else f"{member.match:,}",
        "" if member.lag is None else f"{member.lag:,}",
        member.state or "",
    )
