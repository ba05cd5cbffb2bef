"""Commands into the log, from whichever node: here when this one leads, else through the leader."""

import asyncio
import random
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from orion.model.configs import ConfigStat
from orion.model.errors import AnswerForgotten, Conflict, NoMajority, NotTaken, OrionError, Refused, Unavailable
from orion.model.levels import LEVEL
from orion.model.node import Node, NodeStatus
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.node.membership.quorum_watch import QuorumWatch
from orion.node.membership.rivals import Rivals
from orion.node.routing.forward import Forward
from orion.node.routing.ingress_check import refuse_ingress
from orion.node.routing.own_ports import refuse_own_ports
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, NotUnderstood, Place
from orion.ports.peers import Principal
from orion.state.commands import AnyCommand, decode_command, encode_command
from orion.state.core.features import Need, need_of
from orion.state.gate import require_open, too_new
from orion.state.sound import fault_of
from orion.state.tables.cluster import InitCluster
from orion.state.tables.job_changes import PutJob
from orion.state.tables.jobs import CreateJob
from orion.state.tables.node_status import SetNodeStatus
from orion.state.tables.nodes import RegisterNode
from orion.state.tables.plans import ApplyPlan

RETRY_FIRST_S = 0.02
RETRY_MAX_S = 0.25
ATTEMPT_TIMEOUT_S = 2.0


class Submitted(msgspec.Struct, frozen=True, array_like=True):
    """Committed at `index`; `subject` is the job's or node's name, `config` the config, where `apply` answered with
    one.
    """

    index: int
    subject: str
    cluster: int
    config: ConfigStat | None = None
    recovery: int = 0


class Submit(CallRequest[Submitted], frozen=True, tag=1):
    """Commit a command, written at the level `needs` (model/levels.py)."""

    at: ClassVar = Place.LEADER

    command: bytes
    forwarded: bool = False
    needs: int = 1


class Submitter:
    """One per node; every write goes through it."""

    def __init__(
        self,
        *,
        driver: RaftDriver,
        directory: Directory,
        forward: Forward,
        quorum: QuorumWatch,
        registry: Registry,
        rivals: Rivals,
        rng: random.Random,
    ) -> None:
        self._driver = driver
        self._directory = directory
        self._forward = forward
        self._quorum = quorum
        self._rivals = rivals
        self._rng = rng
        registry.answer_call(Submit, self._asked)

    async def submit(self, command: AnyCommand, *, timeout_s: float) -> Submitted:
        """Returns once committed, applied on the leader and, where this node follows the log, here too.

        Tries again through elections until the deadline, so the command must bear being applied twice. Raises
        Refused kinds as `apply` decided; Unavailable at the deadline, NoMajority and AnswerForgotten as soon as
        that is known, all three saying whether the command may survive.
        """
        request = Submit(encode_command(command), needs=need_of(command).level)
        tries = _Tries()
        try:
            async with self._quorum.deadline(timeout_s, "no leader with a majority of the voters took the change"):
                submitted = await self._until_taken(request, tries)
                if self._driver.is_member:
                    await self._driver.watch.reached(submitted.index)
                return submitted
        except Unavailable as error:
            kind = type(error) if isinstance(error, NoMajority | AnswerForgotten) else Unavailable
            raise kind(f"{error.detail}; {tries.outcome}") from None

    async def _until_taken(self, request: Submit, tries: "_Tries") -> Submitted:
        wait_s = RETRY_FIRST_S
        while True:
            tries.taken = True  # by whoever is asked now, until it says otherwise
            try:
                return await self.take(request)
            except Refused:
                raise
            except (AnswerForgotten, NotUnderstood) as error:
                tries.failed(error)
                raise  # as any later copy would be answered
            except OrionError as error:
                tries.failed(error)
            await asyncio.sleep(wait_s * (0.5 + self._rng.random()))
            wait_s = min(RETRY_MAX_S, wait_s * 2)

    async def take(self, request: Submit) -> Submitted:
        """One try: propose here, or hand on to the leader. Raises NotTaken when neither can be done, another
        Unavailable when nobody knows how it ended.
        """
        driver = self._driver
        if driver.is_leader:
            if not driver.view.cluster:
                raise NotTaken("the new cluster has no name yet")  # its leader gives it one first
            committed = await driver.propose(await self._completed(request))
            result = committed.result
            config = result if isinstance(result, ConfigStat) else None
            return Submitted(committed.index, _subject(result), driver.view.cluster, config, driver.view.recovery)
        return await self._forward.ask_leader(request, timeout_s=ATTEMPT_TIMEOUT_S)

    async def _asked(self, request: Submit, _: Principal) -> Submitted:
        return await self.take(request)

    async def _opened(self, request: Submit) -> AnyCommand:
        """Returns it once all nodes understand it. Raises TooNew; NotTaken while no node has joined yet."""
        if request.needs > LEVEL:
            raise too_new(Need(request.needs), self._driver.view)
        command = _understood(request.command)
        if need_of(command).level > self._driver.view.level:
            await self._catch_up()
            if not self._driver.view.nodes():
                raise NotTaken("no node of the new cluster has said yet what it understands")
            require_open(command, self._driver.view)
        return command

    async def _completed(self, request: Submit) -> bytes:
        """A command the log can take: one that can't be understood would stop every node. What a leader decides
        is taken from nobody else.

        Only the leader can tell whether the node that held an id before is gone: gossip must show the id with the
        new data directory, for it gives a living node's name to nobody else, and nobody must answer at the old
        address with the old one. Raises Conflict for a data directory that a node at another address uses.
        """
        data, view = request.command, self._driver.view
        command = await self._opened(request)
        if isinstance(command, CreateJob | PutJob):
            refuse_own_ports(view, command.job)
            refuse_ingress(view, command.job)
        if not isinstance(command, RegisterNode):
            return data
        if command.replaces:
            raise Refused("whether a node takes another one's place is for the cluster's leader to decide")
        known = view.node(command.node)
        if known is None:
            return data
        if known.raft_id == command.raft_id:
            if known.peer_address != command.peer_address and await self._answers(known):
                raise Conflict(
                    f"{known.id} runs with this data directory and answers at {known.peer_address}: this is a copy"
                )
            return data
        seen = self._directory.seen(command.node)
        if seen is None or seen.metadata.raft_id != command.raft_id or await self._answers(known):
            return data
        return encode_command(replace(command, replaces=True))

    async def _catch_up(self) -> None:
        """A new leader has yet to apply what former ones committed. Raises NotTaken when it does not get there."""
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                await self._driver.read_barrier()
        except TimeoutError:
            raise NotTaken("no majority of the voters answered") from None

    async def _answers(self, known: Node) -> bool:
        return await self._rivals.claimed(known.id, known.raft_id, known.peer_address)


def _is_for_leaders(command: AnyCommand) -> bool:
    if isinstance(command, SetNodeStatus):
        return command.status is not NodeStatus.LEFT  # a node says of itself that it stops
    return isinstance(command, InitCluster | ApplyPlan)


def _understood(data: bytes) -> AnyCommand:
    """Raises Refused for what nobody but the leader may say, or is no command that can be carried out."""
    try:
        command = decode_command(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(f"not a command that this version knows: {error}") from None
    if fault := fault_of(command):
        raise Refused(f"not a command that can be carried out: {fault}")
    if _is_for_leaders(command):
        raise Refused(f"{type(command).__name__} is for the cluster's leader to decide")
    if encode_command(command) != data:
        # Fields that this version does not know are not seen when it is read, and would part the nodes' states.
        raise Refused(f"{type(command).__name__} is not written as this version writes it: do all nodes run one?")
    return command


class _Tries:
    """The tries of one command: one of them may have put it into a log that survives."""

    def __init__(self) -> None:
        self.taken = False  # the try under way
        self._earlier = False

    def failed(self, error: OrionError) -> None:
        self._earlier |= not isinstance(error, NotTaken | AnswerForgotten)
        self.taken = False

    @property
    def outcome(self) -> str:
        if self.taken or self._earlier:
            return "the change may still have been made: look before you repeat it"
        return "nothing was changed"


def _subject(result: object) -> str:
    match result:
        case str():
            return result
        case Node(id=node):
            return node
    return ""
