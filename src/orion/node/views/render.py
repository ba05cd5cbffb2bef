"""Applied state and gossip -> what the API shows. Pure reads."""

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import msgspec

from orion.model.allocation import Allocation
from orion.model.api.cluster import MemberView, RaftView
from orion.model.api.codec import fields_from_spec
from orion.model.api.configs import ConfigView
from orion.model.api.nodes import Amounts, NodeView
from orion.model.api.tasks import AllocationView, TaskView
from orion.model.configs import ConfigStat
from orion.model.counts import several
from orion.model.errors import NotFound
from orion.model.ids import (
    JobName,
    NodeId,
    RaftId,
    allocation_text,
    container_name,
    raft_text,
    split_task_id,
    task_id,
)
from orion.model.images import digest_of
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.membership import GONE, MemberState, NodeRole
from orion.model.node import EVERYWHERE, Node, NodeStatus, address_parts, address_text
from orion.model.placement import RefusalReason
from orion.model.times import rfc3339
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory, Seen
from orion.node.rpc.reads import ALL, Page
from orion.node.views import reasons
from orion.state import gate
from orion.state.job_record import JobRecord, Slot
from orion.state.records import NodeRecord
from orion.state.slots import task_slot
from orion.state.tables.configs import Configs
from orion.state.view import View


def time_text(unix_ms: int) -> str | None:
    """None for 0: it has not come yet."""
    return rfc3339(unix_ms) if unix_ms else None


# --- tasks -------------------------------------------------------------------------------------------------


def tasks(view: View, page: Page) -> tuple[Iterator[TaskView], str]:
    """The tasks of a page, made when asked for but as they are now; and the id of the last, if there are more."""
    names = view.job_names()
    first, skip = _place(names, page.after)
    rows, room, following = _Rows(), page.limit or sys.maxsize, ""
    for at in range(first, len(names)):
        record = view.job_record(names[at])
        assert record is not None
        start = skip if at == first else 0
        count = 0 if record.latest.kind is JobKind.CRON else record.latest.count  # its runs have tasks
        indexes = range(start, min(count, start + room))
        room -= rows.take(record, indexes)
        if start + len(indexes) < count:
            following = rows.last
            break
    return rows.views({node.id: node for node in view.nodes()}.get), following


class _Rows:
    """Tasks as they are now. Most jobs are of one task, and are kept as columns: an object for each of thousands
    would have the collector look at all that there is.
    """

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._refusals: list[RefusalReason] = []
        self._open: list[int] = []
        self._slots: list[Slot | JobRecord] = []  # or the whole record
        self._indexes: list[range] = []

    def take(self, record: JobRecord, indexes: range) -> int:
        """How many they are."""
        if not indexes:
            return 0
        plain = record.job.count == 1 and record.successor is None and record.rollout is None
        self._jobs.append(record.latest)
        self._refusals.append(record.refusal)
        self._open.append(record.open[0] if plain else 0)
        self._slots.append(record.slots[0] if plain else _copy(record))
        self._indexes.append(_ONLY if plain else indexes)
        return len(indexes)

    @property
    def last(self) -> str:
        return task_id(self._jobs[-1].name, self._indexes[-1][-1]) if self._jobs else ""

    def views(self, node_of: Callable[[NodeId], Node | None]) -> Iterator[TaskView]:
        columns = zip(self._jobs, self._refusals, self._open, self._slots, self._indexes, strict=True)
        for job, refusal, is_open, slot, indexes in columns:
            if isinstance(slot, JobRecord):
                record = slot
            else:
                record = JobRecord.of(job, refusal, [slot], bytearray((is_open,)))
            for index in indexes:
                yield _task(record, index, node_of)


def _copy(record: JobRecord) -> JobRecord:
    slots, opened = record.slots.copy(), record.open[:]
    rollout = record.rollout.copy() if record.rollout else None
    return JobRecord.of(record.job, record.refusal, slots, opened, record.successor, record.active, rollout)


_ONLY = range(1)


def _place(names: list[JobName], after: str) -> tuple[int, int]:
    """Where in `names` the tasks past the one with the id `after` begin: at which name, and index."""
    if not after:
        return 0, 0
    name, index = split_task_id(after)
    first = bisect_left(names, name)
    if first < len(names) and names[first] == name:
        return first, (index or 0) + 1
    return first, 0


def task(view: View, text: str) -> TaskView:
    """Raises Invalid for what is no task id, NotFound for one that is not there."""
    name, index = split_task_id(text)
    record = view.job_record(name)
    if record is None:
        raise NotFound(f"there is no task {text}; 'orion ps' lists them")
    job = record.latest
    if index is None and job.count > 1:
        raise NotFound(f"{name} has {job.count} tasks: say which, as in {name}/0")
    if (index or 0) >= job.count:
        raise NotFound(f"{name} has no task {index}: its tasks are 0 to {job.count - 1}")
    return _task(record, index or 0, view.node)


def _task(record: JobRecord, index: int, node_of: Callable[[NodeId], Node | None]) -> TaskView:
    job, slot = record.latest, task_slot(record, index)
    spec, shown = slot.task, slot.allocation
    # While it waits for another one of its name to end, that one's allocations are not its own.
    runs = record.history(index) if record.job.created_index == job.created_index else ()
    return TaskView(
        **fields_from_spec(spec),
        priority=job.priority,
        id=task_id(job.name, index),
        name=job.name,
        state=slot.state,
        reason=slot.reason,
        node_id=shown.node if shown else None,
        address=shown.status.address if shown else "",
        ports=ports(node_of(shown.node), spec, shown) if shown and not shown.terminal else {},
        created_at=time_text(job.created_at_ms),
        started_at=time_text(shown.status.started_at_ms) if shown else None,
        finished_at=time_text(shown.status.finished_at_ms) if shown else None,
        allocations=[_allocation(a, record.spec(a.job_version).image) for a in runs],
        stopped=job.stopped,
        created_index=job.created_index,
        placement_failure=reasons.placement_failure(slot.failure, spec) if slot.failure else None,
        progress=reasons.progress(shown.status.pull) if shown and shown.status.pull else None,
    )


def ports(node: Node | None, spec: TaskSpec, allocation: Allocation) -> dict[str, str]:
    """Where each of its ports answers."""
    if node is None:
        return {}
    host, _ = address_parts(node.api_address)
    pairs = zip(spec.ports, allocation.ports, strict=True)
    return {
        str(binding): address_text(host if binding.host_ip in EVERYWHERE else binding.host_ip, port)
        for binding, port in pairs
    }


def _allocation(allocation: Allocation, image: str) -> AllocationView:
    status = allocation.status
    return AllocationView(
        id=allocation_text(allocation.id),
        node_id=allocation.node,
        state=status.state,
        reason=status.reason_text(image),
        restarts=status.restarts,
        exit_code=status.exit_code,
        created_at=time_text(allocation.created_at_ms),
        started_at=time_text(status.started_at_ms),
        finished_at=time_text(status.finished_at_ms),
        container_id=status.container,
        container_name=container_name(allocation.job, allocation.index, allocation.id) if status.container else "",
        progress=reasons.progress(status.pull) if status.pull else None,
        health=status.health,
        ready_since=time_text(status.ready_since_ms),
        image_digest=digest_of(image),
    )


# --- nodes -------------------------------------------------------------------------------------------------


def nodes(driver: RaftDriver, directory: Directory, page: Page = ALL) -> tuple[list[NodeView], str]:
    """The nodes of a page, and the name of the last, if there are more."""
    records = sorted(driver.view.node_records(), key=lambda record: record.node.id)
    records = [record for record in records if record.node.id > page.after]
    shown = records[: page.limit or None]
    roles, led = Roles(driver), bool(driver.standing.leader)
    views = [node_view(record, directory.seen(record.node.id), roles, led=led) for record in shown]
    return views, views[-1].name if views and len(shown) < len(records) else ""


def node(driver: RaftDriver, directory: Directory, name: str) -> NodeView | None:
    record = driver.view.node_record(NodeId(name))
    if record is None:
        return None
    return node_view(record, directory.seen(record.node.id), Roles(driver), led=bool(driver.standing.leader))


class Roles:
    """Who leads, votes, learns or works, by the applied configuration."""

    def __init__(self, driver: RaftDriver) -> None:
        conf = driver.raft.conf
        self._leader = driver.standing.leader
        self._voters = {*conf.voters, *conf.voters_outgoing}
        self._learners = {*conf.learners, *conf.learners_next}

    def of(self, raft: RaftId | int) -> NodeRole:
        if raft == self._leader:
            return NodeRole.LEADER
        if raft in self._voters:
            return NodeRole.VOTER
        return NodeRole.LEARNER if raft in self._learners else NodeRole.WORKER


_STATUS_WORDS = {NodeStatus.DOWN: "dead", NodeStatus.LEFT: "left", NodeStatus.READY: "alive"}


def node_view(record: NodeRecord, seen: Seen | None, roles: Roles, *, led: bool) -> NodeView:
    node, capacity = record.node, record.node.capacity
    usage = seen.metadata.usage if seen is not None and node.status is NodeStatus.READY else None
    return NodeView(
        name=node.id,
        ip=address_parts(node.peer_address)[0],
        api_address=node.api_address,
        role=roles.of(node.raft_id),
        status=_status(record, seen, led=led),
        reason=_why_idle(record),
        version=node.version,
        labels=dict(node.labels),
        cpu=Amounts(
            capacity.cpu_millis / 1000,
            (capacity.cpu_millis - record.cpu_free) / 1000,
            round(usage.cpu_cores, 3) if usage else None,
        ),
        memory=Amounts(
            capacity.memory_bytes,
            capacity.memory_bytes - record.memory_free,
            usage.memory_bytes if usage else None,
        ),
        disk=Amounts(capacity.disk_bytes, capacity.disk_bytes - record.disk_free, None),
        tasks=record.active,
        label_changes=dict(node.label_changes),
    )


def _why_idle(record: NodeRecord) -> str:
    """Why it takes no work, "" when it does."""
    node = record.node
    if node.status is NodeStatus.LEFT and record.active:
        until = time_text(node.changed_at_ms + node.grace_ms)
        return f"stopped on purpose; its tasks wait for it until {until}, then others start them"
    if node.status is NodeStatus.LEFT:
        return "stopped on purpose"
    if node.status is NodeStatus.DOWN:
        since = time_text(node.changed_at_ms)
        return f"down since {since}; its tasks are started elsewhere, unless their volumes are here"
    if node.draining and node.status is NodeStatus.READY and not node.engine_down:
        left = f"{several(record.active, 'task')} yet to leave; " if record.active else ""
        return f"{left}gets no work until 'orion ready {node.id}'"
    return node.engine_down


def _status(record: NodeRecord, seen: Seen | None, *, led: bool) -> str:
    """Where nobody leads, nobody would have said of a node that gossip has not seen since that it is gone."""
    word = _STATUS_WORDS[record.node.status]
    if seen is None and not led:
        return "unknown"
    if word != "alive":
        return word
    if seen is not None and seen.member.state in (MemberState.SUSPECT, MemberState.DEAD):
        # Fresher than what a cluster without a quorum can still agree on. Where there is one, death is its leader's
        # to tell: gossip may give up a node that answers.
        return MemberState.SUSPECT if led else seen.member.state
    if not record.node.draining:
        return word
    return "draining" if record.active else "drained"


def why_gone(node: Node | None, seen: Seen | None, *, led: bool) -> str:
    """Returns, for a node that can't be asked now, "is dead since …"; "" when it may answer, or nothing is known of
    it. Where nobody leads, gossip's word is all there is.
    """
    if node is not None and node.status is not NodeStatus.READY:
        word = "stopped on purpose" if node.status is NodeStatus.LEFT else "is dead"
        return f"{word} since {time_text(node.changed_at_ms)}"
    return "does not answer" if not led and seen is not None and seen.member.state in GONE else ""


# --- configs -----------------------------------------------------------------------------------------------


def configs(view: View, prefix: str, page: Page) -> tuple[list[ConfigView], str]:
    """The configs of a page, and the key of the last, if there are more."""
    stats = view.of(Configs).stats(prefix, page.after, page.limit + 1 if page.limit else None)
    shown = stats[: page.limit or None]
    return [config(stat) for stat in shown], shown[-1].key if len(shown) < len(stats) else ""


def config(stat: ConfigStat) -> ConfigView:
    return ConfigView(
        key=stat.key,
        version=stat.version,
        size=stat.size_bytes,
        created_at=time_text(stat.created_at_ms),
        changed_at=time_text(stat.changed_at_ms),
        folder=stat.folder,
    )


# --- raft --------------------------------------------------------------------------------------------------


def raft(driver: RaftDriver, directory: Directory, outlook: Sequence[str] = ()) -> RaftView:
    status = driver.raft.status()
    records = {record.node.raft_id: record for record in driver.view.node_records()}

    def member(identity: int) -> MemberView:
        follower, record = status.followers.get(identity), records.get(RaftId(identity))
        node = record.node if record else None
        gone = node is not None and node.status is not NodeStatus.READY
        return MemberView(
            id=(node.id if node else directory.node_of_raft(RaftId(identity))) or "?",
            raft_id=raft_text(RaftId(identity)),
            match=follower.match if follower else None,
            state=follower.state if follower else None,
            lag=max(0, status.last_index - follower.match) if follower else None,
            status=_status(record, directory.seen(record.node.id), led=bool(status.leader)) if record else "",
            since=time_text(node.changed_at_ms) if node and gone else None,
        )

    conf = status.conf
    voters, learners = {*conf.voters, *conf.voters_outgoing}, {*conf.learners, *conf.learners_next}
    return RaftView(
        cluster=f"{driver.view.cluster:016x}" if driver.view.cluster else "",
        state=status.role,
        term=status.term,
        leader=directory.node_of_raft(RaftId(status.leader)) if status.leader else None,
        commit_index=status.commit,
        applied_index=driver.applied_index,
        voters=[member(v) for v in sorted(voters)],
        learners=[member(v) for v in sorted(learners)],
        first_index=status.first_index,
        snapshot_index=status.snapshot_index,
        task_count=driver.view.task_count(),
        workers=[member(raft) for raft in records if raft not in voters | learners],
        next=list(outlook),
        level=driver.view.level,
        level_outlook=gate.outlook(driver.view.nodes(), driver.view.level),
    )


def with_leaders_view(mine: RaftView, leaders: RaftView) -> RaftView:
    """Returns what a node says of itself, and of the others what their leader does; as it is, if that one leads no
    more.
    """
    if leaders.state != "leader" or leaders.term < mine.term:
        return mine
    return msgspec.structs.replace(
        mine, voters=leaders.voters, learners=leaders.learners, workers=leaders.workers, next=leaders.next
    )
