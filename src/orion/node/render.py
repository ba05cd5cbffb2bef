"""Applied state and gossip -> what the API shows. Pure reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from orion.model.allocation import Allocation
from orion.model.errors import NotFound
from orion.model.ids import RaftId, allocation_text, container_name, raft_text, split_task_id, task_id
from orion.model.job import Job, PortBinding, RestartMode, RestartPolicy
from orion.model.mounts import mount_to_request
from orion.model.node import EVERYWHERE, Node, NodeStatus, address_parts, address_text
from orion.model.views import AllocationView, Amounts, MemberView, NodeView, PlacementRequest, RaftView, TaskView
from orion.node.directory import Directory, Seen
from orion.node.raft_driver import RaftDriver
from orion.state.records import NodeRecord
from orion.state.view import View


def time_text(unix_ms: int) -> str | None:
    """RFC 3339 in UTC with milliseconds; None for 0."""
    if not unix_ms:
        return None
    text = datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


# --- tasks -------------------------------------------------------------------------------------------------


def tasks(view: View) -> list[TaskView]:
    return [_task(view, job, index) for job in view.latest_jobs() for index in range(job.count)]


def task(view: View, text: str) -> TaskView:
    """Raises Invalid for what is no task id, NotFound for one that is not there."""
    name, index = split_task_id(text)
    job = view.latest_job(name)
    if job is None:
        raise NotFound(f"there is no task {text}; 'orion ps' lists them")
    if index is None and job.count > 1:
        raise NotFound(f"{name} has {job.count} tasks: say which, as in {name}/0")
    if (index or 0) >= job.count:
        raise NotFound(f"{name} has no task {index}: its tasks are 0 to {job.count - 1}")
    return _task(view, job, index or 0)


def _task(view: View, job: Job, index: int) -> TaskView:
    spec, slot = job.task, view.task(job.name, index)
    assert slot is not None
    shown = slot.allocation
    runs = view.allocations_of_slot(job.name, index) if _is_current(view, job) else ()
    return TaskView(
        id=task_id(job.name, index),
        name=job.name,
        image=spec.image,
        command=list(spec.command),
        env=dict(spec.env),
        state=slot.state,
        reason=slot.reason,
        node_id=shown.node if shown else None,
        address=shown.status.address if shown else "",
        ports=_ports(view, job, shown) if shown and not shown.terminal else {},
        memory=spec.resources.memory_bytes,
        cpu=spec.resources.cpu_millis / 1000,
        disk=spec.resources.disk_bytes,
        node_selectors=dict(spec.constraints),
        port_bindings={str(port): _binding_text(port) for port in spec.ports},
        restart_policy=restart_text(spec.restart),
        created_at=time_text(job.created_at_ms),
        started_at=time_text(shown.status.started_at_ms) if shown else None,
        finished_at=time_text(shown.status.finished_at_ms) if shown else None,
        configs=[mount_to_request(mount) for mount in spec.configs],
        allocations=[_allocation(a) for a in runs],
        stopped=job.stopped,
        created_index=job.created_index,
        placement=PlacementRequest(spec.placement or ""),
    )


def _is_current(view: View, job: Job) -> bool:
    """False while it waits for another one of its name to end, whose allocations are not its own."""
    current = view.job(job.name)
    return current is not None and current.created_index == job.created_index


def _ports(view: View, job: Job, allocation: Allocation) -> dict[str, str]:
    node = view.node(allocation.node)
    if node is None:
        return {}
    host, _ = address_parts(node.api_address)
    pairs = zip(job.task.ports, allocation.ports, strict=True)
    return {
        str(binding): address_text(host if binding.host_ip in EVERYWHERE else binding.host_ip, port)
        for binding, port in pairs
    }


def _binding_text(binding: PortBinding) -> str:
    """As it is written in a request."""
    port = str(binding.host_port or "")
    if not binding.host_ip:
        return port
    return f"[{binding.host_ip}]:{port}" if ":" in binding.host_ip else f"{binding.host_ip}:{port}"


def _allocation(allocation: Allocation) -> AllocationView:
    status = allocation.status
    return AllocationView(
        id=allocation_text(allocation.id),
        node_id=allocation.node,
        state=status.state,
        reason=status.reason,
        restarts=status.restarts,
        exit_code=status.exit_code,
        created_at=time_text(allocation.created_at_ms),
        started_at=time_text(status.started_at_ms),
        finished_at=time_text(status.finished_at_ms),
        container_id=status.container,
        container_name=container_name(allocation.job, allocation.index, allocation.id) if status.container else "",
    )


def restart_text(policy: RestartPolicy) -> str:
    """As it is written in a request: on-failure:5, on-failure (no limit), always, no."""
    if policy.mode is RestartMode.ON_FAILURE and policy.max_restarts:
        return f"{policy.mode}:{policy.max_restarts}"
    return policy.mode


# --- nodes -------------------------------------------------------------------------------------------------


def nodes(driver: RaftDriver, directory: Directory) -> list[NodeView]:
    roles = Roles(driver)
    records = sorted(driver.view.node_records(), key=lambda record: record.node.id)
    led = bool(driver.standing.leader)
    return [_node(record, directory.seen(record.node.id), roles, led=led) for record in records]


class Roles:
    """Who leads, votes, learns or works, by the applied configuration."""

    def __init__(self, driver: RaftDriver) -> None:
        conf = driver.raft.conf
        self._leader = driver.standing.leader
        self._voters = {*conf.voters, *conf.voters_outgoing}
        self._learners = {*conf.learners, *conf.learners_next}

    def of(self, raft: RaftId | int) -> str:
        if raft == self._leader:
            return "leader"
        if raft in self._voters:
            return "voter"
        return "learner" if raft in self._learners else "worker"


_STATUS_WORDS = {NodeStatus.DOWN: "dead", NodeStatus.LEFT: "left", NodeStatus.READY: "alive"}


def _node(record: NodeRecord, seen: Seen | None, roles: Roles, *, led: bool) -> NodeView:
    node, capacity = record.node, record.node.capacity
    usage = seen.facts.usage if seen is not None and node.status is NodeStatus.READY else None
    return NodeView(
        name=node.id,
        ip=address_parts(node.peer_address)[0],
        api_address=node.api_address,
        role=roles.of(node.raft),
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
    if node.draining and node.status is NodeStatus.READY and not node.engine_down:
        return f"gets no work until 'orion ready {node.id}'"
    return node.engine_down


def _status(record: NodeRecord, seen: Seen | None, *, led: bool) -> str:
    """Where nobody leads, nobody would have said of a node that gossip has not seen since that it is gone."""
    word = _STATUS_WORDS[record.node.status]
    if seen is None and not led:
        return "unknown"
    if word != "alive":
        return word
    if seen is not None and seen.member.state in ("suspect", "dead"):
        # Fresher than what a cluster without a quorum can still agree on. Where there is one, death is its leader's
        # to tell: gossip may give up a node that answers.
        return "suspect" if led else seen.member.state
    if not record.node.draining:
        return word
    return "draining" if record.active else "drained"


def why_gone(node: Node | None, seen: Seen | None, *, led: bool) -> str:
    """Of a node that can't be asked now: "is dead since …"; "" when it may answer, or nothing is known of it. Where
    nobody leads, gossip's word is all there is.
    """
    if node is not None and node.status is not NodeStatus.READY:
        word = "stopped on purpose" if node.status is NodeStatus.LEFT else "is dead"
        return f"{word} since {time_text(node.changed_at_ms)}"
    return "does not answer" if not led and seen is not None and seen.member.state in ("dead", "left") else ""


# --- raft --------------------------------------------------------------------------------------------------


def raft(driver: RaftDriver, directory: Directory, outlook: Sequence[str] = ()) -> RaftView:
    status = driver.raft.status()
    records = {record.node.raft: record for record in driver.view.node_records()}

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
        task_count=sum(job.count for job in driver.view.latest_jobs()),
        workers=[member(raft) for raft in records if raft not in voters | learners],
        next=list(outlook),
    )


def with_leaders_view(mine: RaftView, leaders: RaftView) -> RaftView:
    """What a node says of itself, and of the others what their leader does; as it is, if that one leads no more."""
    if leaders.state != "leader" or leaders.term < mine.term:
        return mine
    return msgspec.structs.replace(
        mine, voters=leaders.voters, learners=leaders.learners, workers=leaders.workers, next=leaders.next
    )
