"""One node as a process: adapters, node and API put together in one TaskGroup, and taken down in order.

With process/offline, network_adapters and network_reset it is the only importer of adapters/.
"""

import asyncio
import contextlib
import gc
import logging
import platform
import signal
import sys
from pathlib import Path

import msgspec

from orion import __version__
from orion.adapters.clock import SystemClock
from orion.adapters.csi import GrpcPlugins
from orion.adapters.csi_records import FileRecords
from orion.adapters.docker import Docker
from orion.adapters.docker.for_keeper import ALLOCATION_LABEL, engine_for_keeper
from orion.adapters.gossip import Gossip
from orion.adapters.keeper import KeeperProcess
from orion.adapters.lmdb_log import LmdbLog
from orion.adapters.lmdb_log.former import former_directories
from orion.adapters.machine import LinuxMachine
from orion.adapters.mounts import LinuxMounts
from orion.adapters.peers import TcpPeers
from orion.adapters.probe import SocketProbe
from orion.adapters.volumes import LocalVolumes
from orion.api import Server, create_app, listen
from orion.model.errors import OrionError, Refused, Unavailable, Unreadable
from orion.model.ids import RaftId
from orion.model.node import address_text
from orion.model.resources import Resources
from orion.node.node import Node
from orion.ports.log import Identity, LogFailed, LogStore
from orion.ports.machine import Machine
from orion.ports.storage import StoragePorts
from orion.process.config import Config
from orion.process.fd_limits import raise_limit
from orion.process.loglines import JsonFormatter, OneLineFormatter, printable
from orion.process.network_adapters import network_adapters
from orion.process.running import announced
from orion.process.stderr import never_wait
from orion.raft.log import LogBroken

log = logging.getLogger("orion")

# Errors that say in one line what happened and what to do. Any other one is a bug and shows its traceback.
_TOLD = (OrionError, LogFailed, LogBroken)


def run(config: Config) -> int:
    """Runs a node until SIGTERM or SIGINT. Returns the exit code: 0 after a planned stop, 1 after a failure that
    was told in one line.
    """
    import uvloop

    gc.freeze()  # what was imported stays for good: a look at it takes 25 ms
    never_wait()
    handler = logging.StreamHandler(sys.stderr)
    as_text = OneLineFormatter("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(JsonFormatter(config.node) if config.log_format == "json" else as_text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    raise_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(config))
    except (*_TOLD, BaseExceptionGroup) as error:
        reason = _first(error)
        if not isinstance(reason, _TOLD):
            raise
        print(printable(f"orion: {reason}{_advice(reason, config)}"), file=sys.stderr)  # noqa: T201 -- a command's last word
        return 1
    return 0


def _advice(reason: BaseException, config: Config) -> str:
    if isinstance(reason, Unreadable):
        return (
            ". If another version of orion ran on it, start that one. Otherwise move"
            f" {config.data_dir} away and start this node again with --join: it gets the log back from the others."
            " Where all nodes say this, begin anew with a backup: orion snapshot restore"
        )
    if not isinstance(reason, LogBroken):
        return ""
    return (
        f". This node's log is older than what it has promised (was {config.data_dir} put back from a copy?); the "
        "others hold the rest. Move that directory away and start this node again with --join"
    )


async def serve(config: Config) -> None:
    """Runs a node until a signal. Raises OrionErrors and LogFailed, alone or in groups."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock, machine = SystemClock(), LinuxMachine()
    async with contextlib.AsyncExitStack() as stack:
        attempt = _Attempt(config.data_dir)
        store = await LmdbLog.open(config.data_dir)
        stack.push_async_callback(store.close)
        stack.callback(attempt.forget)  # before the store unlocks it: after that it may be another process's
        identity = await _identity(store, config, machine)
        peers = TcpPeers(
            node=config.node,
            raft=identity.raft_id,
            host=config.bind,
            port=config.raft_port,
            clock=clock,
            cluster=identity.cluster,
            advertise=address_text(config.advertise, config.raft_port),
        )
        stack.push_async_callback(peers.close)
        gossip = Gossip(
            node=config.node,
            host=config.bind,
            port=config.gossip_port,
            advertise=address_text(config.advertise, config.gossip_port),
            seeds=config.join,
            memory=Path(config.data_dir) / "members",
        )
        stack.push_async_callback(gossip.close)
        engine = Docker(config.docker_host, pids_limit=config.pids_limit)
        stack.push_async_callback(engine.close)
        node = Node(
            config=_with_own_labels(config),
            version=__version__,
            capacity=_capacity(config, machine),
            clock=clock,
            store=store,
            peers=peers,
            membership=gossip,
            engine=engine,
            probe=SocketProbe(),
            machine=machine,
            volumes=LocalVolumes(Path(config.data_dir) / "volumes"),
            storage=_storage_adapters(config),
            network=network_adapters,
            identity=identity,
            on_stop_asked=stop.set,
        )
        listeners = listen(config.bind, config.port)
        for listener in listeners:
            stack.callback(listener.close)
        await node.start()
        attempt.begun = True
        _spare_the_collector()
        api = Server(create_app(node.service), listeners)
        log.info(
            "node %s %s: API http://%s, gossip %s, peers %s, data %s",
            config.node,
            __version__,
            address_text(config.advertise, config.port),
            address_text(config.advertise, config.gossip_port),
            address_text(config.advertise, config.raft_port),
            config.data_dir,
        )
        if unseen := stack.enter_context(announced(config.node, *api.address)):
            log.info("commands on this machine do not find this node without --port or --addr: %s", unseen)
        await _run_until(stop, node, api)


def _storage_adapters(config: Config) -> StoragePorts:
    directory = Path(config.data_dir).resolve()
    keeper = KeeperProcess(directory, ALLOCATION_LABEL, engine_for_keeper(config.docker_host))
    return StoragePorts(GrpcPlugins(), LinuxMounts(), FileRecords(directory / "csi"), keeper)


class _Attempt:
    """The start of a node, which leaves no new data directory behind when it is refused (a taken port, neither
    --bootstrap nor --join). No peer has heard of the member in that directory, and it has promised nothing.
    """

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._fresh = not Path(data_dir).exists()
        self.begun = False

    def forget(self) -> None:
        if self._fresh and not self.begun:
            import shutil

            shutil.rmtree(self._data_dir, ignore_errors=True)


# The log's thread, back from an fsync, waits at most this long for the interpreter. The default of 5 ms is as long
# as several fsyncs.
SWITCH_INTERVAL_S = 0.0005


def _spare_the_collector() -> None:
    """Has the garbage collector run, but more rarely than by default. Objects made so far stay for good, so it
    skips them. State is made of structs that it does not track, so it need not run as often as by default. With a
    million allocations a full collection takes some 20 ms, which delays a heartbeat.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


async def _run_until(stop: asyncio.Event, node: Node, api: Server) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(node.run(), name="node")
        serving = group.create_task(_serve(api, stop), name="api")
        await stop.wait()
        log.info("stopping: containers stay, another voter takes over")
        last_words = await node.stop()
        api.stop()
        await serving
        running.cancel()
    log.info("%s", last_words)


async def _serve(api: Server, stop: asyncio.Event) -> None:
    """Serves the API until `stop`. Raises Unavailable when it ends before: a node without an API must not run
    on.
    """
    await api.serve()
    if not stop.is_set():
        raise Unavailable("the API server ended by itself")


async def _identity(store: LogStore, config: Config, machine: Machine) -> Identity:
    """Returns the identity in the data directory; a new directory becomes this node's. Raises Refused when it
    belongs to another node.
    """
    known = await store.identity()
    if config.bootstrap and (known is None or not known.cluster):
        await _refuse_beside_a_former_one(config)
    if known is None:
        address = address_text(config.advertise, config.raft_port)
        known = Identity(config.node, RaftId(machine.random_bits(63) or 1), address=address)
        await store.set_identity(known)
    if known.node != config.node:
        raise Refused(
            f"the data directory {config.data_dir} belongs to node {known.node}, not {config.node}: start it with"
            f" --id {known.node}, or give {config.node} a directory of its own with --data-dir"
        )
    return known


async def _refuse_beside_a_former_one(config: Config) -> None:
    """Raises Refused when the node has a former data directory beside the new one: with --bootstrap a directory
    that was moved away would leave the user with an empty cluster.
    """
    former = await asyncio.to_thread(former_directories, Path(config.data_dir), config.node)
    if not former:
        return
    path, identity = former[0]
    raise Refused(
        f"{config.node} is a node of cluster {identity.cluster:016x} by {path}, and --bootstrap would begin"
        f" another, empty one in {config.data_dir}. To go on with what is there: --data-dir {path}. To come back as"
        " a new member of that cluster: --join and the gossip address of a node of it, without --bootstrap. To"
        f" begin a new cluster all the same: move {path} out of {path.parent} first"
    )


def _capacity(config: Config, machine: LinuxMachine) -> Resources:
    """Returns the capacity named at the start, and the machine's for the parts not named."""
    named, found = config.capacity or Resources(), machine.capacity(Path(config.data_dir))
    return Resources(
        named.cpu_millis or found.cpu_millis,
        named.memory_bytes or found.memory_bytes,
        named.disk_bytes or found.disk_bytes,
    )


def _with_own_labels(config: Config) -> Config:
    own = {
        "id": config.node,
        "hostname": platform.node(),
        "os": platform.system().lower(),
        "arch": platform.machine(),
    }
    return msgspec.structs.replace(config, labels=tuple(sorted({**own, **dict(config.labels)}.items())))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
