"""One Raft member by itself, in a process of its own: the real log, peers, core driver and state, without gossip,
scheduler, agent and HTTP. For benchmarks that need to say exactly what the state holds.

Started by `Members`; a call to its peer port is a command to propose, or one of the words below.
"""

import asyncio
import contextlib
import cProfile
import json
import pstats
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import msgspec

from orion.adapters.clock import SystemClock
from orion.adapters.lmdb_log.store import LmdbLog
from orion.adapters.peers.tcp import TcpPeers
from orion.model.errors import OrionError
from orion.model.ids import NodeId, RaftId
from orion.node.consensus.applied import AppliedWatch
from orion.node.consensus.driver import RaftDriver
from orion.node.consensus.snapshots import Snapshots
from orion.node.rpc.registry import Registry
from orion.ports.log import as_stream
from orion.ports.peers import Principal
from orion.process.config import Tuning
from orion.raft.interface import RaftConfig
from orion.raft.messages import ConfState, HardState, SnapshotMeta
from orion.state.snapshot import capture, encode
from orion.state.tables import State
from orion.state.tables.configs import Configs
from support.nodes import free_ports

CLUSTER = 0x0FEDCBA987654321
STATUS = b"status"  # what it is and did
RESET = b"reset"  # the same, and from now on count anew
READ = b"read "  # and a key: the config under it, read linearizably
PROFILE = b"profile"  # begin to profile; asked again, end, and answer with each layer's share
TICK_S = 0.001


class Status(msgspec.Struct):
    leads: bool
    term: int
    applied: int
    snapshot: int
    allocations: int
    installs: int
    held_ms: float  # the longest that one turn of the loop took since RESET, waiting for a core included
    held_cpu_ms: float  # the longest by the loop's own thread's cpu time
    elections: int


class Member:
    def __init__(self, number: int, ports: list[int], data_dir: str, tuning: Tuning) -> None:
        self._number = number
        self._ports = ports
        self._data_dir = data_dir
        self._tuning = tuning
        self._held_ms = self._held_cpu_ms = 0.0
        self._elections = 0
        self._profile: cProfile.Profile | None = None
        self._watcher: asyncio.Task[None] | None = None  # costs something, so only once it is asked for

    async def run(self) -> None:
        clock = SystemClock()
        store = await LmdbLog.open(self._data_dir)
        peers = TcpPeers(
            node=NodeId(f"member{self._number}"),
            raft=RaftId(self._number),
            host="127.0.0.1",
            port=self._ports[self._number - 1],
            clock=clock,
            cluster=CLUSTER,
        )
        registry = Registry(NodeId(f"member{self._number}"), lambda: True)
        snapshots = Snapshots(
            store=store,
            peers=peers,
            tuning=self._tuning,
            me=RaftId(self._number),
            address_of=self._address,
            registry=registry,
        )
        config = RaftConfig(id=self._number, heartbeat_ms=100, election_ms=500)
        self.driver = self._driver = RaftDriver(
            config=config,
            clock=clock,
            store=store,
            peers=peers,
            watch=AppliedWatch(),
            snapshots=snapshots,
            rng=random.Random(),
            address_of=self._address,
        )
        self._driver.on_standing = self._standing_changed
        if not (await store.load()).snapshot.index:
            voters = ConfState(voters=tuple(RaftId(n + 1) for n in range(len(self._ports))))
            meta = SnapshotMeta(1, 1, voters)
            beginning = as_stream(encode(capture(State())))
            await store.save_snapshot(meta, beginning, first_kept=2, hard_state=HardState(1, 0, 1))
        await self._driver.load(await store.load())
        await peers.start(self._driver.receive, self._called, registry.on_stream, registry.on_duplex)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._driver.run())
            self._group = group
            self.begin(group, peers, registry)
            print("ready", flush=True)

    def begin(self, group: asyncio.TaskGroup, peers: TcpPeers, registry: Registry) -> None:
        """For members that do more."""

    def _address(self, raft: RaftId) -> str | None:
        return f"127.0.0.1:{self._ports[raft - 1]}" if 0 < raft <= len(self._ports) else None

    def _standing_changed(self, standing: object) -> None:  # noqa: ARG002
        self._elections += 1

    async def _called(self, asker: Principal, body: bytes) -> bytes:  # noqa: ARG002
        if body in (STATUS, RESET):
            status = self._status()
            if body == RESET:
                if self._watcher is None:
                    self._watcher = self._group.create_task(self._watch_loop())
                self._held_ms = self._held_cpu_ms = 0.0
                self._elections = 0
            return msgspec.json.encode(status)
        if body.startswith(READ):
            await self._driver.read_barrier()
            return msgspec.msgpack.encode(self._driver.view.of(Configs).get(body[len(READ) :].decode()))
        if body == PROFILE:
            return self._toggle_profile()
        return (await self._driver.propose(body)).index.to_bytes(8, "big")

    def _toggle_profile(self) -> bytes:
        profile, self._profile = self._profile, cProfile.Profile()
        if profile is None:
            self._profile.enable()
            return b""
        profile.disable()
        self._profile = None
        return json.dumps(layer_shares(profile)).encode()

    def _status(self) -> Status:
        driver = self._driver
        return Status(
            driver.is_leader,
            driver.raft.term,
            driver.applied_index,
            driver.raft.snapshot_index,
            driver.view.allocation_count(),
            driver.installs,
            self._held_ms,
            self._held_cpu_ms,
            self._elections,
        )

    async def _watch_loop(self) -> None:
        while True:
            began, began_cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            held = (time.perf_counter() - began - TICK_S) * 1000
            held_cpu = (time.thread_time() - began_cpu) * 1000
            self._held_ms, self._held_cpu_ms = max(self._held_ms, held), max(self._held_cpu_ms, held_cpu)


LAYERS = {
    "transport": ("orion/adapters/peers", "orion/wire/frames"),
    "codec": ("orion/wire", "msgspec"),
    "core": ("orion/raft",),
    "log": ("orion/adapters/lmdb_log", "orion/node/log_writer", "concurrent/futures", "threading", "_queue"),
    "apply": ("orion/state",),
    "driver": ("orion/node",),
}


def layer_shares(profile: cProfile.Profile) -> list[tuple[str, float]]:
    """Each layer's share of the loop's own time; built-in functions count to whoever called them."""
    shares = dict.fromkeys((*LAYERS, "asyncio"), 0.0)

    def layer_of(function: tuple[str, int, str]) -> str | None:
        where = f"{function[0]} {function[2]}"
        for layer, parts in LAYERS.items():
            if any(part in where for part in parts):
                return layer
        return None if function[0] == "~" else "asyncio"

    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        layer = layer_of(function)
        if layer is not None or not callers:
            shares[layer or "asyncio"] += own
            continue
        for caller, (_, _, part, _) in callers.items():
            shares[layer_of(caller) or "asyncio"] += part
    total = sum(shares.values())
    return [(layer, own / total) for layer, own in shares.items()]


class Members:
    """Processes, and a client on their peer ports."""

    def __init__(self, count: int, tuning: Tuning, program: str = __file__) -> None:
        self._program = program
        self.ports = [free_ports()[2] for _ in range(count)]
        self._root = tempfile.TemporaryDirectory(prefix="orion-members-")
        self._tuning = tuning
        self.processes: dict[int, subprocess.Popen[str]] = {}

    async def __aenter__(self) -> Self:
        clock = SystemClock()
        self.peers = TcpPeers(
            node=NodeId("client"), raft=RaftId(99), host="127.0.0.1", port=0, clock=clock, cluster=CLUSTER
        )

        async def no_call(*_: object) -> bytes:
            return b""

        await self.peers.start(lambda _: None, no_call, no_call, no_call)  # type: ignore[arg-type]
        for number in range(1, len(self.ports) + 1):
            self.start(number)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peers.close()
        for number in list(self.processes):
            self.kill(number)
        self._root.cleanup()

    def start(self, number: int) -> None:
        given = {
            "number": number,
            "ports": self.ports,
            "data_dir": str(Path(self._root.name) / str(number)),
            "tuning": msgspec.to_builtins(self._tuning),
        }
        (Path(self._root.name) / str(number)).mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, self._program, json.dumps(given)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self.processes[number] = process

    def kill(self, number: int) -> None:
        process = self.processes.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    async def call(self, number: int, body: bytes, timeout_s: float = 10.0) -> bytes:
        return await self.peers.call(f"127.0.0.1:{self.ports[number - 1]}", body, timeout_s=timeout_s)

    async def status(self, number: int, body: bytes = STATUS) -> Status:
        return msgspec.json.decode(await self.call(number, body), type=Status)

    async def leader(self) -> int:
        while True:
            for number in self.processes:
                with contextlib.suppress(OrionError):
                    if (await self.status(number)).leads:
                        return number
            await asyncio.sleep(0.02)


def main(kind: type[Member] = Member) -> None:
    import gc

    import uvloop

    given = json.loads(sys.argv[1])
    given["tuning"] = msgspec.convert(given["tuning"], Tuning)
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    uvloop.run(kind(**given).run())


if __name__ == "__main__":
    main()
