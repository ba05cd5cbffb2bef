"""A storage plugin that fails: orion-csi-dir's own methods behind a server that refuses with any code, before the
work or after it, loses answers, answers after the deadline, restarts, and lies. What it does is drawn from a seed,
or scripted.
"""

import asyncio
import contextlib
import enum
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from orion.csi_dir.controller import Controller
from orion.csi_dir.failed import Failed
from orion.csi_dir.identity import Identity
from orion.csi_dir.locks import Locks
from orion.csi_dir.node import Node
from orion.csi_dir.records import NodeRecord
from orion.csi_dir.server import methods_of
from orion.csi_dir.store import Store
from orion.wire.csi import csi_pb2
from orion.wire.csi.methods import METHODS


class Fault(enum.Enum):
    REFUSED = "refused"  # nothing is done
    REFUSED_AFTER = "refused after"  # the work is done
    LOST = "lost"  # done, and the connection ends
    LATE = "late"  # done, and the answer comes when nobody waits any more
    SLOW = "slow"  # done after the deadline, and others are told ABORTED until then
    RESTART = "restart"  # another process answers from then on
    LIE = "lie"


CODES = tuple(code for code in Status if code is not Status.OK)
LARGE = {"a": "x" * (64 << 10)}
# Call -> (whether the work is done, a lie about it). None: the answer as if it had been done.
LIES: dict[str, tuple[bool, Any]] = {
    "GetPluginInfo": (False, csi_pb2.GetPluginInfoResponse(name="no name", vendor_version="")),
    "NodeGetInfo": (False, csi_pb2.NodeGetInfoResponse(max_volumes_per_node=-1)),
    "CreateVolume": (True, csi_pb2.CreateVolumeResponse(volume=csi_pb2.Volume(capacity_bytes=-1))),
    "ControllerPublishVolume": (True, csi_pb2.ControllerPublishVolumeResponse(publish_context=LARGE)),
    "NodeStageVolume": (False, csi_pb2.NodeStageVolumeResponse()),
    "NodePublishVolume": (False, csi_pb2.NodePublishVolumeResponse()),
    "NodeUnpublishVolume": (False, csi_pb2.NodeUnpublishVolumeResponse()),
    "NodeUnstageVolume": (False, csi_pb2.NodeUnstageVolumeResponse()),
}


class FaultyPlugin:
    """`rate`: of calls that go wrong. `script`: what the next calls do instead, None for as they should. `refused`
    is told of each code that it made up.
    """

    def __init__(self, folder: Path, seed: int, rate: float, node: str = "node1") -> None:
        self.socket = folder / "faulty.sock"
        self.root = folder / "root"
        self.rate = rate
        self.script: deque[Fault | Status | None] = deque()
        self.refused: Callable[[Status], None] = lambda _: None
        self.calls = self.faults = 0
        self._held = ""
        self.holds = threading.Event()  # a call waits at the place that `hold` names
        self._release: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._node = node
        self._random = random.Random(seed)
        self.weights = (8, 4, 1, 1, 1, 1, 4)  # of each Fault
        self.version = "1"
        self._pending: dict[str, asyncio.Event] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._locks = Locks()
        self.restart()

    def restart(self) -> None:
        """Calls under way go on in their threads, where another process would have none: their locks stay held."""
        store = Store(self.root)
        node = Node(store, NodeRecord(self._node), "default")
        node._locks = self._locks
        self._answers = methods_of(Identity(store, self.version), Controller(store, "default"), node)

    def __mapping__(self) -> dict[str, Handler]:
        return {
            method.path: Handler(self._handler(name), Cardinality.UNARY_UNARY, method.request, method.reply)
            for name, method in METHODS.items()
        }

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["FaultyPlugin"]:
        server = Server([self])
        await server.start(path=str(self.socket))
        try:
            yield self
        finally:
            server.close()
            for event in self._pending.values():
                event.set()
            await asyncio.gather(*self._late, return_exceptions=True)
            await server.wait_closed()

    def hold(self, place: str) -> None:
        """Has the next call of this name wait: "before CreateVolume", or "after" for when its work is done."""
        self.holds.clear()
        self._held = place

    def release(self) -> None:
        self._held = ""
        assert self._release is not None, "a call waits"
        loop, event = self._release
        loop.call_soon_threadsafe(event.set)

    async def _wait_at(self, place: str) -> None:
        if place == self._held:
            self._held = ""
            event = asyncio.Event()
            self._release = asyncio.get_running_loop(), event
            self.holds.set()
            await event.wait()

    def _handler(self, name: str) -> Any:
        async def handle(stream: Any) -> None:
            request = await stream.recv_message()
            self.calls += 1
            await self._wait_at(f"before {name}")
            await self._answered(name, request, stream)

        return handle

    async def _answered(self, name: str, request: Any, stream: Any) -> None:
        volume = getattr(request, "volume_id", "") or getattr(request, "name", "")
        if volume in self._pending:
            self._pending[volume].set()
            raise GRPCError(Status.ABORTED, "the first call is still under way")
        fault = self._drawn(name)
        self.faults += fault is not None
        if isinstance(fault, Status):
            self.refused(fault)
            raise GRPCError(fault, f"a seed has {name} fail")
        if fault is Fault.SLOW and volume:
            await self._slow(name, request, volume)
        if fault is Fault.RESTART:
            self.restart()
            stream._stream._transport.abort()
            return
        if fault is Fault.LIE:
            await self._lie(name, request, volume)
            await stream.send_message(LIES[name][1])
            return
        reply = await self._done(name, request)
        await self._wait_at(f"after {name}")
        if fault is Fault.LOST:
            stream._stream._transport.abort()
        elif fault is Fault.LATE:
            await asyncio.Event().wait()  # until who asked gives up
        elif fault is Fault.REFUSED_AFTER:
            code = self._random.choice(CODES)
            self.refused(code)
            raise GRPCError(code, f"a seed has {name} fail when it is done")
        else:
            await stream.send_message(reply)

    async def _lie(self, name: str, request: Any, volume: str) -> None:
        """It keeps to one call at a time for a volume even then."""
        if LIES[name][0]:
            await self._done(name, request)
        elif volume:
            try:
                with self._locks.held(volume):
                    pass
            except Failed as error:
                raise GRPCError(error.status, error.words) from None

    async def _slow(self, name: str, request: Any, volume: str) -> None:
        """Begins when nobody waits any more, and someone else has asked."""
        asked_again = self._pending[volume] = asyncio.Event()
        try:
            await asyncio.Event().wait()
        finally:
            late = asyncio.create_task(self._after(asked_again, name, request, volume))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _after(self, asked_again: asyncio.Event, name: str, request: Any, volume: str) -> None:
        try:
            await asked_again.wait()
            with contextlib.suppress(GRPCError):
                await self._done(name, request)
        finally:
            del self._pending[volume]

    async def _done(self, name: str, request: Any) -> Any:
        try:
            return await asyncio.to_thread(self._answers[name], request)
        except Failed as error:
            raise GRPCError(error.status, error.words) from None

    def _drawn(self, name: str) -> Fault | Status | None:
        if self.script:
            return self.script.popleft()
        about_itself = METHODS[name].service == "Identity" or "Get" in name
        if self._random.random() >= (self.rate / 10 if about_itself else self.rate):
            return None
        fault = self._random.choices(tuple(Fault), self.weights)[0]
        if fault is Fault.REFUSED or (fault is Fault.LIE and name not in LIES):
            return self._random.choice(CODES)
        return fault


@contextlib.contextmanager
def in_a_thread(plugin: FaultyPlugin) -> Iterator[FaultyPlugin]:
    """Has it answer nodes that are processes, while the test does something else."""
    begun, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with plugin.serving():
            begun.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="faulty-plugin")
    thread.start()
    try:
        assert begun.wait(30), "the plugin serves"
        yield plugin
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join(60)
