"""Service on one node: parse what api/ or a peer asks, read applied state or submit a command, render.

Reads come from this node's state while it follows the log; a worker, or a member that was cut off, asks a voter
(the same questions as requests, so that both ways meet in `_answer`).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from orion.model.allocation import TERMINAL
from orion.model.api.cluster import RaftView
from orion.model.api.codec import job_from_request, name_for
from orion.model.api.nodes import NodeView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.container import LogQuery
from orion.model.errors import Conflict, Invalid, NoMajority, NotFound, OrionError, Refused, Unavailable
from orion.model.events import ALL_EVENTS, Event, EventChoice
from orion.model.ids import NODE_ID, JobName, NodeId, RaftId
from orion.model.labels import changes_errors
from orion.model.logs import LogItem, LogPosition
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher, confirmed
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.read_barrier import Barrier
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.routing.idempotency import Marks
from orion.node.routing.submit import Submitter
from orion.node.rpc.bounds import request_fault
from orion.node.rpc.reads import ALL, Epoch, Listing, Page, Read
from orion.node.rpc.requests import (
    AnyList,
    AnyRequest,
    AskNode,
    AskNodes,
    AskPosition,
    AskRaft,
    AskRaftId,
    AskTask,
    AskTasks,
    AskTransfer,
    Confirm,
    Confirmed,
    FetchBackup,
    FetchSnapshot,
    FindConfigs,
    NotUnderstood,
    Position,
    ReadLogs,
    Request,
    StopNode,
    Stopping,
    Submit,
    WatchAssignments,
    WatchEvents,
    decode_answer,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from orion.node.runtime.deadline import deadline
from orion.node.services.backup import Backups
from orion.node.services.configs import Configs
from orion.node.services.events import Events
from orion.node.services.flights import Flights
from orion.node.services.lists import Captured, Lists, sent
from orion.node.services.logs import Logs
from orion.node.services.service import Health
from orion.node.views import render
from orion.node.views.metrics import Metrics
from orion.ports.clock import Clock
from orion.ports.machine import Machine
from orion.ports.peers import Peers
from orion.raft.confchange import members as conf_members
from orion.state.commands import CreateJob, DrainNode, LabelNode, RemoveJob, RemoveNode, StartJob, StopJob

log = logging.getLogger(__name__)

R = TypeVar("R")

CALL_MARGIN_S = 1.0  # a peer answers with its own words at the deadline; wait a little longer than it does
RETRY_S = 0.1
RAFT_TIMEOUT_S = 1.0  # the leader's word about the others is worth no longer a wait


class Answers:
    """Fulfils service.Service, and answers peers."""

    def __init__(
        self,
        *,
        me: NodeId,
        version: str,
        clock: Clock,
        machine: Machine,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        quorum: QuorumWatch,
        submitter: Submitter,
        source: AssignmentWatcher,
        agent: Agent,
        outlook: Callable[[], Sequence[str]],
        on_stop_asked: Callable[[], None] = lambda: None,
    ) -> None:
        self._me = me
        self._clock = clock
        self._machine = machine
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._quorum = quorum
        self._submitter = submitter
        self._source = source
        self._outlook = outlook
        self._on_stop_asked = on_stop_asked
        self._metrics = Metrics(driver=driver, directory=directory, agent=agent, machine=machine)
        self._local: dict[type[Request[Any]], Callable[[Any], Awaitable[object]]] = {
            Submit: submitter.take,
            AskTasks: self._tasks,
            AskTask: self._task,
            AskNodes: self._nodes,
            AskNode: self._node,
            AskRaft: self._raft,
            AskTransfer: self._transfer,
            AskPosition: self._position,
            AskRaftId: self._raft_id,
            Confirm: self._confirm,
            StopNode: self._stop,
        }
        self._barrier = Barrier(driver)
        self._lists = Lists()
        self._asked = Flights()
        self._marks = Marks(machine=machine, driver=driver, ask=self._ask)
        self.configs = Configs(
            clock=clock,
            driver=driver,
            submitter=submitter,
            ask=self._ask,
            marks=self._marks,
            fresh=self._fresh,
            lists=self._lists,
        )
        self._local |= self.configs.local
        self._logs = Logs(
            me=me,
            driver=driver,
            directory=directory,
            peers=peers,
            agent=agent,
            ask_task=self._ask,
            ask_node=self._ask,
        )
        self._events = Events(me=me, driver=driver, directory=directory, peers=peers)
        self._backups = Backups(
            me=me,
            version=version,
            clock=clock,
            driver=driver,
            directory=directory,
            peers=peers,
            fresh=self._fresh,
        )

    # --- tasks --------------------------------------------------------------------------------------------

    async def create_task(
        self, request: TaskRequest, *, idempotency_key: str, timeout_s: float, wait_running_s: float
    ) -> TaskView:
        name = request.name or name_for(request.image, self._machine.random_bits(20))
        job = job_from_request(request, JobName(name), self._clock.wall_ms())
        key, since = await self._marks.new(idempotency_key, timeout_s)
        command = CreateJob(self._clock.wall_ms(), job, key, since)
        submitted = await self._submitter.submit(command, timeout_s=timeout_s)
        read = Read(stale=self._driver.is_member, timeout_s=timeout_s)
        view, index = await self._ask(AskTask(submitted.subject, read))
        deadline_ms = self._clock.now_ms() + int(wait_running_s * 1000)
        while view.state not in _SETTLED and (left_ms := deadline_ms - self._clock.now_ms()) > 0:
            read = Read(after_index=index, wait_s=min(left_ms / 1000, 10.0), timeout_s=timeout_s)
            now, index = await self._ask(AskTask(view.id, read))
            if now.created_index != view.created_index:
                raise NotFound(f"{view.id} was removed, and another one has its name")
            view = now
        return view

    async def delete_task(self, task: str, *, created_index: int = 0, timeout_s: float) -> TaskView:
        try:
            view, seen_at = await self.task(task, Read(timeout_s=timeout_s))
        except NoMajority as error:
            raise NoMajority(f"{error.detail}; nothing was changed") from None
        if created_index not in (0, view.created_index):
            raise NotFound(f"the {view.id} that is meant is gone: another one has its name")
        key, since = await self._marks.new("", timeout_s)
        # Whoever told of this job may have been ahead of who gave `since`.
        since = max(since, seen_at)
        command = RemoveJob(self._clock.wall_ms(), JobName(view.name), key, since, view.created_index)
        try:
            await self._submitter.submit(command, timeout_s=timeout_s)
        except NotFound:
            return view  # somebody else was faster
        try:
            now, _ = await self.task(view.id, Read(stale=self._driver.is_member, timeout_s=timeout_s))
        except NotFound:
            log.debug("%s had nothing to stop", view.id)
            return view
        return now if now.created_index == view.created_index else view

    async def stop_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change_job(StopJob, task, timeout_s)

    async def start_task(self, task: str, *, timeout_s: float) -> TaskView:
        return await self._change_job(StartJob, task, timeout_s)

    async def _change_job(self, kind: type[StopJob | StartJob], task: str, timeout_s: float) -> TaskView:
        async with deadline(timeout_s, f"{task} was another one at each try"):
            while True:
                try:
                    view, seen_at = await self.task(task, Read(timeout_s=timeout_s))
                except NoMajority as error:
                    raise NoMajority(f"{error.detail}; nothing was changed") from None
                key, since = await self._marks.new("", timeout_s)
                command = kind(self._clock.wall_ms(), JobName(view.name), key, max(since, seen_at))
                try:
                    await self._submitter.submit(command, timeout_s=timeout_s)
                except NotFound as error:  # another one has the name since, or none
                    log.debug("looking at %s again: %s", task, error.detail)
                    continue
                return (await self.task(view.id, Read(stale=self._driver.is_member, timeout_s=timeout_s)))[0]

    async def tasks(self, read: Read, page: Page = ALL) -> Listing:
        return await self._ask(AskTasks(read, page))

    async def task(self, task: str, read: Read) -> tuple[TaskView, int]:
        return await self._ask(AskTask(task, read))

    def logs(self, task: str, query: LogQuery, after: LogPosition | None = None) -> AsyncGenerator[LogItem, None]:
        return self._logs.stream(task, query, after)

    # --- nodes --------------------------------------------------------------------------------------------

    async def nodes(self, read: Read, page: Page = ALL) -> Listing:
        return await self._ask(AskNodes(read, page))

    async def node(self, node: str, read: Read) -> tuple[NodeView, int]:
        return await self._ask(AskNode(node, read))

    async def drain(self, node: str, *, draining: bool, timeout_s: float) -> NodeView:
        if not NODE_ID.fullmatch(node):
            raise _unknown(node)  # nor will there be one: nothing that a refusal must be remembered for
        mark = await self._marks.new("", timeout_s)
        command = DrainNode(self._clock.wall_ms(), NodeId(node), draining, *mark)
        await self._submitter.submit(command, timeout_s=timeout_s)
        view, _ = await self.node(node, Read(stale=self._driver.is_member, timeout_s=timeout_s))
        return view

    async def stop_node(self, node: str, *, timeout_s: float) -> NodeView:
        view, _ = await self.node(node, Read(timeout_s=timeout_s))
        if view.tasks:
            raise Conflict(f"{node} still has tasks ({view.tasks}); move them first: orion drain {node} --stop")
        if view.status in ("left", "dead"):
            raise Conflict(f"{node} does not run: it is {view.status}")
        request = StopNode(NodeId(node))
        if node == self._me:
            await self._stop(request)
            return view
        address = self._directory.address_of_node(NodeId(node))
        if address is None:
            raise Unavailable(f"nobody has heard of {node} since this node started; ask another node")
        reply = await self._peers.call(address, encode_request(request), timeout_s=timeout_s)
        decode_answer(reply, request, address)
        return view

    async def _stop(self, request: StopNode) -> Stopping:
        if request.node != self._me:
            raise Refused(f"this is {self._me}, not {request.node}; nothing was stopped")
        log.info("a user asked for this stop")
        self._on_stop_asked()
        return Stopping()

    async def label_node(self, node: str, labels: Mapping[str, str | None], *, timeout_s: float) -> NodeView:
        if wrong := changes_errors(labels):
            raise Invalid(wrong)
        if not NODE_ID.fullmatch(node):
            raise _unknown(node)
        mark = await self._marks.new("", timeout_s)
        command = LabelNode(self._clock.wall_ms(), NodeId(node), tuple(sorted(labels.items())), *mark)
        await self._submitter.submit(command, timeout_s=timeout_s)
        view, _ = await self.node(node, Read(stale=self._driver.is_member, timeout_s=timeout_s))
        return view

    async def remove_node(self, node: str, *, timeout_s: float) -> None:
        try:
            await self.node(node, Read(timeout_s=timeout_s))
            raft = await self._raft_of(NodeId(node))
        except Unavailable as error:
            raise type(error)(f"{error.detail}; nothing was changed") from None
        mark = await self._marks.new("", timeout_s)
        command = RemoveNode(self._clock.wall_ms(), NodeId(node), raft, *mark)
        await self._submitter.submit(command, timeout_s=timeout_s)

    async def _raft_of(self, node: NodeId) -> RaftId:
        """Which of those that have had the name has it now, as far as is known here; else 0."""
        request = AskRaftId(node)
        return await (self._raft_id(request) if self._driver.is_member else self._ask(request))

    # --- raft ---------------------------------------------------------------------------------------------

    async def raft(self) -> RaftView:
        """As this node sees it, and of the others what the leader says, where that can be asked."""
        driver = self._driver
        if not driver.is_member:
            return await self._ask(AskRaft())
        mine = await self._raft(AskRaft())
        leader = driver.standing.leader
        address = None if driver.is_leader or not leader else self._directory.address_of_raft(RaftId(leader))
        if address is None:
            return mine
        try:
            reply = await self._peers.call(address, encode_request(AskRaft()), timeout_s=RAFT_TIMEOUT_S)
            leaders = decode_reply(reply, RaftView, address)
        except OrionError as error:
            log.debug("the leader does not say how the others are: %s", error.detail)
            return mine
        return render.with_leaders_view(mine, leaders)

    async def transfer_leader(self, to: str, *, timeout_s: float) -> RaftView:
        async with deadline(timeout_s, "leadership was not handed over"):
            return await self._transfer(AskTransfer(to))

    def backup(self, read: Read) -> AsyncGenerator[bytes, None]:
        return self._backups.stream(read)

    async def confirm(self, request: Confirm) -> Confirmed:
        return await self._ask(request)

    def events(
        self, after: tuple[int, int] | None, *, follow: bool, chosen: EventChoice = ALL_EVENTS
    ) -> AsyncGenerator[Event | None, None]:
        return self._events.stream(WatchEvents(after, follow, chosen))

    def health(self) -> Health:
        driver = self._driver
        if not driver.is_member:
            registered = self._source.latest is not None and self._source.latest.registered
            return Health(registered, "worker" if registered else "not registered with a cluster yet")
        if not driver.standing.leader:
            return Health(ready=False, detail="no leader")
        if driver.applied_index < driver.raft.commit:
            return Health(ready=False, detail="still applying the log")
        return Health(ready=True, detail=driver.standing.role)

    def metrics(self) -> dict[str, float]:
        return self._metrics.collect()

    # --- peers ask ----------------------------------------------------------------------------------------

    async def on_call(self, node: NodeId, body: bytes) -> bytes:
        """A peer's question. Raises OrionErrors, which cross the wire."""
        request = _decoded(node, body)
        answer = self._local.get(type(request))
        if answer is None:
            raise Refused(f"{type(request).__name__} is a stream, not a call")
        return encode_reply(await answer(request))

    async def on_stream(self, node: NodeId, body: bytes) -> AsyncGenerator[bytes, None]:
        request = _decoded(node, body)
        match request:
            case FetchSnapshot(index):
                items = self._driver.snapshots.serve(index)
            case FetchBackup(read):
                items = self._backups.take(read)
            case WatchAssignments():
                items = self._source.serve(request)
            case ReadLogs():
                items = self._logs.serve(request)
            case WatchEvents():
                items = self._events.serve(request)
            case AskTasks() | AskNodes() | FindConfigs():
                items = self._listed(request)
            case _:
                raise Refused(f"{type(request).__name__} is a call, not a stream")
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    async def _listed(self, request: AnyList) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(sent(await self._here(request))) as items:
            async for item in items:
                yield item

    # --- questions, here or at a voter --------------------------------------------------------------------

    async def _ask(self, request: Request[R]) -> R:
        """The answer from here while this node follows the log, else from a voter. A stale one needs no leader: it
        is wanted at once, and after a write of this node's nobody else may know as much.
        """
        if self._driver.is_member and (self._driver.standing.leader or _is_stale(request)):
            return await self._here(request)
        if isinstance(request, AnyList):
            return cast("R", await self._asked.join(request, lambda: self._ask_a_voter(request)))
        return await self._ask_a_voter(request)

    async def _ask_a_voter(self, request: Request[R]) -> R:
        timeout_s = _patience_s(request)
        async with self._quorum.deadline(timeout_s, "no voter of the cluster answered"):
            while True:
                lost: NoMajority | NotUnderstood | None = None
                for address in self._voter_addresses():
                    try:
                        return await self._put(request, address, timeout_s + CALL_MARGIN_S)
                    except Unavailable as error:
                        log.debug("%s did not answer: %s", address, error.detail)
                        lost = error if isinstance(error, NoMajority | NotUnderstood) else lost
                if self._driver.is_member and self._driver.standing.leader:
                    return await self._here(request)
                if lost is not None and not self._driver.is_member:
                    raise lost  # none of them knows better
                await asyncio.sleep(RETRY_S)

    async def _put(self, request: Request[R], address: str, timeout_s: float) -> R:
        """The caller has a deadline of its own."""
        body = encode_request(request)
        if isinstance(request, AnyList):
            async with contextlib.aclosing(self._peers.stream(address, body)) as items:
                return cast("R", await self._lists.received(items, address))
        reply = await self._peers.call(address, body, timeout_s=timeout_s)
        return decode_answer(reply, request, address)

    async def _here(self, request: Request[R]) -> R:
        return cast("R", await self._local[type(request)](request))

    def _voter_addresses(self) -> list[str]:
        return [s.facts.peer_address for s in self._directory.voters() if s.member.node != self._me]

    async def _fresh(self, read: Read) -> int:
        """Returns when applied state is as fresh as the read demands: an index that state which will do is at, or
        past.
        """
        driver = self._driver
        at_least = 0
        if read.after_index:
            try:
                async with self._quorum.deadline(read.wait_s, f"nothing past {read.after_index}"):
                    await driver.watch.polled(read.after_index + 1)
                at_least = read.after_index + 1
            except Unavailable as error:
                if isinstance(error, NoMajority) and not read.stale:
                    raise
                log.debug("long poll: %s", error.detail)
        if read.stale:
            return driver.applied_index
        async with self._quorum.deadline(read.timeout_s, "no majority of the voters answered"):
            return max(at_least, await self._barrier.passed())

    async def _tasks(self, request: AskTasks) -> Listing:
        at_least = await self._fresh(request.read)
        driver = self._driver

        def capture() -> Captured:
            views, following = render.tasks(driver.view, request.page)
            return Captured(driver.applied_index, (), following, views)

        return await self._lists.get(("tasks", request.page), at_least, tuple, capture)

    async def _task(self, request: AskTask) -> tuple[TaskView, int]:
        await self._fresh(request.read)
        return render.task(self._driver.view, request.task), self._driver.applied_index

    async def _nodes(self, request: AskNodes) -> Listing:
        at_least = await self._fresh(request.read)
        driver, directory = self._driver, self._directory

        def epoch() -> Epoch:
            return directory.version, driver.standing.leader

        def capture() -> Captured:
            views, following = render.nodes(driver, directory, request.page)
            return Captured(driver.applied_index, epoch(), following, iter(views))

        return await self._lists.get(("nodes", request.page), at_least, epoch, capture)

    async def _node(self, request: AskNode) -> tuple[NodeView, int]:
        await self._fresh(request.read)
        view = render.node(self._driver, self._directory, request.node)
        if view is None:
            raise _unknown(request.node)
        return view, self._driver.applied_index

    async def _position(self, _: AskPosition) -> Position:
        self._require_member()
        driver = self._driver
        members = tuple(RaftId(member) for member in conf_members(driver.raft.conf))
        return Position(driver.applied_index, driver.is_leader, members, bool(driver.standing.leader))

    async def _raft_id(self, request: AskRaftId) -> RaftId:
        self._require_member()
        known = self._driver.view.node(request.node)
        return known.raft_id if known else RaftId(0)

    def _require_member(self) -> None:
        if not self._driver.is_member:
            raise Unavailable(f"{self._me} is not a Raft member")

    async def _raft(self, _: AskRaft) -> RaftView:
        self._require_member()
        return render.raft(self._driver, self._directory, self._outlook())

    async def _confirm(self, request: Confirm) -> Confirmed:
        async with deadline(CALL_MARGIN_S * 3, "no quorum answers"):
            await self._driver.read_barrier()
        return confirmed(self._driver.view, request)

    async def _transfer(self, request: AskTransfer) -> RaftView:
        driver = self._driver
        if not driver.is_leader:
            return await self._transfer_elsewhere(request)
        target, me = RaftId(0), driver.raft.status().id
        if not any(v != me for v in driver.raft.conf.voters):
            raise Conflict(f"{self._me} is the only voter: there is nobody to hand leadership to")
        if request.to:
            node = driver.view.node(NodeId(request.to))
            if node is None:
                raise _unknown(request.to)
            target = node.raft_id
            if target not in driver.raft.conf.voters:
                raise Conflict(f"{request.to} does not vote, so it can't lead; 'orion raft' shows the voters")
        driver.transfer(target)
        async with deadline(CALL_MARGIN_S * 5, "leadership was not handed over"):
            while driver.is_leader and target != me:
                await driver.watch.changed()
            while not driver.standing.leader:
                await driver.watch.changed()
        return render.raft(driver, self._directory)

    async def _transfer_elsewhere(self, request: AskTransfer) -> RaftView:
        leading = [s for s in self._directory.voters() if s.facts.role == "leader"]
        if request.forwarded or not leading:
            raise Unavailable(self._quorum.missing() or "there is no leader to hand over from")
        body = encode_request(AskTransfer(request.to, forwarded=True))
        address = leading[0].facts.peer_address
        reply = await self._peers.call(address, body, timeout_s=CALL_MARGIN_S * 6)
        return decode_reply(reply, RaftView, address)


_SETTLED = frozenset({"running", *(str(s) for s in TERMINAL)} - {"lost"})


def _unknown(node: str) -> NotFound:
    return NotFound(f"there is no node {node}; 'orion nodes' lists them")


def _decoded(node: NodeId, body: bytes) -> AnyRequest:
    try:
        request = decode_request(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"a request from {node} can't be read ({error}); do all nodes run one version?") from None
    if fault := request_fault(request):
        raise Refused(f"{type(request).__name__} from {node} asks for too much: {fault}")
    return request


def _is_stale(request: Request[Any]) -> bool:
    read = getattr(request, "read", None)
    return isinstance(read, Read) and read.stale


def _patience_s(request: Request[Any]) -> float:
    read = getattr(request, "read", None)
    return read.timeout_s + read.wait_s if isinstance(read, Read) else Read().timeout_s
