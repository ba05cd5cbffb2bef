"""A node says who it is: at every start, and again whenever its facts change or state has lost them."""

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from orion.model.container import EngineInfo
from orion.model.container_options import COMMON_RUNTIMES, RUNTIME_LABEL
from orion.model.errors import Conflict, OrionError, Outdated
from orion.model.ids import RaftId
from orion.model.labels import Pairs, effective, label_error
from orion.model.levels import LEVEL
from orion.model.node import Node, NodeStatus, address_text
from orion.model.resources import Resources
from orion.model.storage import NodePlugin
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.rivals import Rivals
from orion.node.routing.submit import Submitted, Submitter
from orion.ports.clock import Clock
from orion.process.config import Config
from orion.state.core.features import within
from orion.state.tables.nodes import RegisterNode

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT_S = 5.0
RETRY_S = 0.5
# At start gossip may still show the former process under this id. A node that was registered before was removed,
# or another took its name: there is nothing to wait for.
CONFLICT_PATIENCE_S = 15.0
LOOK_AGAIN_S = 2.0
PATIENCE_S = 3.0


class Registration:
    def __init__(
        self,
        *,
        config: Config,
        raft: RaftId,
        version: str,
        capacity: Resources,
        clock: Clock,
        driver: RaftDriver,
        submitter: Submitter,
        agent: Agent,
        source: AssignmentWatcher,
        rivals: Rivals,
        on_registered: Callable[[Submitted], None],
        more_labels: Callable[[], Pairs] = tuple,
        plugins: Callable[[], tuple[NodePlugin, ...]] = tuple,
    ) -> None:
        self._config = config
        self._raft = raft
        self._version = version
        self._capacity = capacity
        self._clock = clock
        self._driver = driver
        self._submitter = submitter
        self._agent = agent
        self._source = source
        self._rivals = rivals
        self._on_registered = on_registered
        self._more_labels = more_labels
        self._plugins = plugins
        self._said: RegisterNode | None = None
        self._said_at = 0  # the log index of it
        self.closing = False  # a planned stop is under way: stay announced as leaving
        self.facts_changed = asyncio.Event()

    async def run(self) -> None:
        """Raises Conflict when the cluster says that this id or data directory is not welcome, Outdated when this
        build is not.
        """
        refused_since_ms: int | None = None
        told = ""
        await self._until_asked()
        while True:
            self.facts_changed.clear()
            try:
                if self._needed():
                    await self._register()
                    refused_since_ms, told = None, ""
                    continue
            except Outdated:
                raise
            except Conflict as error:
                now = self._clock.now_ms()
                refused_since_ms = now if refused_since_ms is None else refused_since_ms
                if self._said_at or now - refused_since_ms >= CONFLICT_PATIENCE_S * 1000:
                    raise
                if error.detail != told:
                    told = error.detail
                    log.warning(
                        "not registered: %s; trying for %g s, then this node ends", told, CONFLICT_PATIENCE_S
                    )
                await asyncio.sleep(RETRY_S * 2)
                continue
            except OrionError as error:
                if error.detail != told:
                    told = error.detail
                    log.info("not registered yet, trying on: %s", told)
                await asyncio.sleep(RETRY_S)
                continue
            await self._until_something_changed()

    async def _until_asked(self) -> None:
        """A node that says at once which engine it has is spared a second round. One that has heard how the cluster
        knows it takes nothing of that back before it knows better.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._source.heard.wait()
                await self._agent.asked.wait()
        except TimeoutError:
            silent = "the container engine" if self._source.heard.is_set() else "the cluster"
            log.info("%s has not answered yet; registering without it", silent)

    async def _until_something_changed(self) -> None:
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self.facts_changed.wait()
        except TimeoutError:
            return

    def _needed(self) -> bool:
        if self.closing:
            return False
        if self._said is None or replace(self._command(), at_ms=self._said.at_ms) != self._said:
            return True
        # An earlier word that came late may have taken the place of the last one.
        if not self._driver.is_member:
            work = self._source.latest
            if work is None or work.index < self._said_at:
                return False
        elif self._driver.applied_index < self._said_at:
            return False
        known = self.known()
        if known is None:
            return True
        return (known.raft_id == self._raft or not self._driver.is_member) and not _stands(known, self._said)

    def known(self) -> Node | None:
        """As what this node has of the state; None where it has none, or this node is not in it."""
        if self._driver.is_member:
            return self._driver.view.node(self._config.node)
        return self._source.latest.node if self._source.latest is not None else None

    async def _register(self) -> None:
        command = self._command()
        if (known := self.known()) is not None and known.raft_id == self._raft:
            # Not where this node said that it is: a copy may have spoken while this one did not answer.
            await self._rivals.check(known.peer_address)
        self._said = None  # if this is not answered, nobody knows what the cluster holds
        submitted = await self._submitter.submit(command, timeout_s=SUBMIT_TIMEOUT_S)
        self._said, self._said_at = command, submitted.index
        self._on_registered(submitted)

    def _command(self) -> RegisterNode:
        """Without what the cluster does not understand yet: it is said once it does."""
        config, agent = self._config, self._agent
        command = RegisterNode(
            at_ms=self._clock.wall_ms(),
            node=config.node,
            raft_id=self._raft,
            peer_address=address_text(config.advertise, config.raft_port),
            api_address=address_text(config.advertise, config.port),
            capacity=self._capacity,
            labels=_labels((*config.labels, *self._more_labels()), agent.engine_info),
            engine=agent.engine_info.id if agent.engine_info else "",
            version=self._version,
            engine_down=agent.engine_down,
            engine_run=agent.engine_info.run if agent.engine_info else "",
            gossip_port=config.gossip_port,
            level=LEVEL,
            plugins=self._plugins(),
        )
        return within(command, self._source.level)


def _labels(own: Pairs, engine: EngineInfo | None) -> Pairs:
    """Returns the node's labels with its engine's runtimes, of those that not every engine has."""
    runtimes = engine.runtimes if engine is not None else ()
    told = {f"{RUNTIME_LABEL}{name}": "true" for name in runtimes if name not in COMMON_RUNTIMES}
    found = {key: value for key, value in told.items() if label_error(key, value) is None}
    return tuple(sorted({**found, **dict(own)}.items()))


def _stands(known: Node, said: RegisterNode) -> bool:
    """Returns whether the node is in state as it was told, and ready."""
    engine, run = said.engine, said.engine_run
    if not engine and said.engine_down:  # state keeps the engine of one that could not ask its own
        engine, run = known.engine_id, known.engine_run
    node = replace(
        known,
        status=NodeStatus.READY,
        peer_address=said.peer_address,
        api_address=said.api_address,
        capacity=said.capacity,
        labels=effective(said.labels, known.label_changes),
        own_labels=said.labels,
        engine_id=engine,
        engine_run=run,
        gossip_port=said.gossip_port,
        version=said.version,
        engine_down=said.engine_down,
        level=said.level,
        plugins=said.plugins,
    )
    return known == node
