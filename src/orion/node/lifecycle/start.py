"""How a node begins: with what its disk holds, as a cluster of its own, or on its way into one."""

import logging

from orion.model.configs import Config as ConfigRow
from orion.model.configs import ConfigStat
from orion.model.errors import Refused
from orion.model.node import address_parts
from orion.model.settings import NETWORK
from orion.ports.log import Identity, LogStore, as_stream
from orion.process.config import Config
from orion.raft.interface import Persistent
from orion.raft.messages import ConfState, HardState, SnapshotMeta
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.configs import Configs

log = logging.getLogger(__name__)


async def beginning(config: Config, store: LogStore, identity: Identity, at_ms: int) -> Persistent:
    """Returns what the disk holds, with a new cluster's beginning written to it where one was asked for, at `at_ms`
    (Unix milliseconds). Raises Refused when the node belongs to no cluster and was told of none.
    """
    persistent = await store.load()
    if persistent.snapshot.index or persistent.entries or identity.cluster:
        return persistent
    if config.bootstrap:
        await _bootstrap(store, identity, _first_state(config, at_ms))
        log.info("started a new cluster with %s as its only voter", config.node)
        return await store.load()
    first = "start the first node with --bootstrap, every other one with --join HOST:GOSSIP_PORT of any that runs"
    if not config.join:
        raise Refused(f"node {config.node} belongs to no cluster yet: {first}")
    own = [(address, what) for address in config.join if (what := _own_port(config, address))]
    if len(own) == len(config.join):
        address, what = own[0]
        raise Refused(f"--join {address} is this node's own {what} port: {first}")
    return persistent


def _first_state(config: Config, at_ms: int) -> State:
    """Empty but for the settings that the cluster is to begin with."""
    state = State()
    if config.network:
        value = config.network.encode()
        stat = ConfigStat(NETWORK, 1, len(value), created_at_ms=at_ms, changed_at_ms=at_ms)
        state.of(Configs).put(ConfigRow(stat, value))
    return state


async def _bootstrap(store: LogStore, identity: Identity, state: State) -> None:
    """The state at index 1, of which this node is the only voter."""
    meta = SnapshotMeta(index=1, term=1, conf=ConfState(voters=(identity.raft_id,)))
    first = as_stream(encode(capture(state)))
    await store.save_snapshot(meta, first, first_kept=2, hard_state=HardState(term=1, commit=1))


def _own_port(config: Config, address: str) -> str:
    """Returns which of this node's own ports the address is, "" when none."""
    host, port = address_parts(address)
    if host not in {config.bind, config.advertise, "localhost"}:
        return ""
    return {config.gossip_port: "gossip", config.port: "API", config.raft_port: "peer"}.get(port, "")
