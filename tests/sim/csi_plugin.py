"""A storage plugin on one machine, a process of its own beside the node's: its controller part asks the disk array,
its node part mounts. It fails by a seed as real ones do, before the work or after it; its answers get lost, come
late, or are lies; it restarts, and a newer version comes.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import Any

import msgspec

from orion.model.csi import NEVER, Access, AccessMode, ControllerFeature, FailureKind, NodeFeature
from orion.model.errors import OrionError
from orion.ports.csi import CsiFailed
from sim.disk_array import DiskArray
from sim.loop import Process
from sim.mounts import HostMounts, Mounted
from sim.world import World

NAME = "sim.csi.orion.dev"
SOCKET = "/run/csi/sim.sock"
# Kinds of refusals that a seed has calls fail with: most often those that pass by themselves.
KINDS = (*[FailureKind.RETRY] * 6, *(kind for kind in FailureKind if kind is not FailureKind.LIE))
# Nothing of it is there: believed of what is taken away, so it is not said of what is not.
ABSENT = (FailureKind.NOT_FOUND, FailureKind.UNIMPLEMENTED)
# Calls that are answered OK without the work.
LIES = frozenset({"stage", "publish", "unpublish", "unstage"})


class Part(enum.Enum):
    CONTROLLER = "controller"
    NODE = "node"
    ITSELF = "itself"


class Fault(enum.Enum):
    REFUSED = "refused"  # nothing is done
    REFUSED_AFTER = "refused after"  # the work is done
    LOST = "lost"  # done, and the connection ends
    LATE = "late"  # done, and the answer comes when nobody waits any more
    SLOW = "slow"  # done after the deadline
    RESTART = "restart"  # another process answers from then on
    LIE = "lie"


class Features(msgspec.Struct, frozen=True):
    """Parts of one plugin that there are on a machine. `trusting`: it publishes whatever is at the staging path, as
    many do that only bind it, also this machine's own directory.
    """

    controller: bool = True
    node: bool = True
    stages: bool = True
    grows: bool = True
    readonly: bool = True
    trusting: bool = False

    @property
    def of_controller(self) -> frozenset[ControllerFeature]:
        absent = {ControllerFeature.VOLUME_CONDITION, ControllerFeature.MODIFY_VOLUME}
        absent |= set() if self.readonly else {ControllerFeature.PUBLISH_READONLY}
        return frozenset(ControllerFeature) - absent

    @property
    def of_node(self) -> frozenset[NodeFeature]:
        found = {NodeFeature.GET_VOLUME_STATS, NodeFeature.SINGLE_NODE_MULTI_WRITER}
        found |= {NodeFeature.STAGE_UNSTAGE_VOLUME} if self.stages else set()
        return frozenset(found | ({NodeFeature.EXPAND_VOLUME} if self.grows else set()))


class Call(msgspec.Struct):
    """One call under way. `run`: of the plugin, which it has reached."""

    process: Process
    part: Part
    name: str
    about: str
    work: Callable[[], Any]
    answer: asyncio.Future
    number: int
    run: int = 0


class SimPlugin:
    """`rate`: of calls that go wrong. `on_call` is told of calls that begin, `at_point` of one that is about to do
    its work and of one that has done it: the machine may die there.
    """

    def __init__(
        self,
        world: World,
        machine: str,
        array: DiskArray,
        host: HostMounts,
        *,
        features: Features = Features(),  # noqa: B008 -- frozen
        deadline_s: float = 6.0,
        most: int = 0,
    ) -> None:
        self.world = world
        self.machine = machine
        self.known_as = f"n-{machine}"
        self.array, self.host = array, host
        self.features = features
        self.most = most
        self.deadline_s = deadline_s
        self.rate = self.usual_rate = 0.0
        self.slowness = 1.0
        self.up = True
        self.runs = 1
        self.version = 1
        self.on_call: Callable[[Call], None] = lambda _: None
        self.on_lie: Callable[[str], None] = lambda _: None
        self.at_point: Callable[[str], None] = lambda _: None
        self._rng = world.rng("csi plugin", machine)
        self._under_way: dict[int, Call] = {}
        self._held: dict[str, Call] = {}  # of the node part, by volume
        self._number = 0
        if features.node:
            array.nodes[self.known_as] = most

    # --- life ---------------------------------------------------------------------------------------------

    def end(self) -> None:
        """All that is under way breaks off. What the array has begun by itself it finishes."""
        self.world.trace(self.machine, "plugin ends")
        self.up = False
        self.runs += 1
        self._held.clear()
        for call in list(self._under_way.values()):
            self._settle(call, None, CsiFailed(f"{call.name} got no answer: connection lost"))

    def start(self, *, newer: bool = False) -> None:
        if not self.up:
            self.up = True
            self.version += newer
            self.world.trace(self.machine, f"plugin starts, version {self.version}")

    def restart(self, after_ms: float, *, newer: bool = False) -> None:
        if self.up:
            self.end()
            self.world.after(after_ms, self._begin_again, self.runs, newer)

    def _begin_again(self, run: int, newer: bool) -> None:
        if self.runs == run:
            self.start(newer=newer)

    # --- a call -------------------------------------------------------------------------------------------

    def call(
        self, process: Process, part: Part, name: str, about: str, work: Callable[[], Any]
    ) -> "asyncio.Future[Any]":
        """Gives the answer, or raises CsiFailed before the deadline. `about`: the volume's id or name, or ""."""
        answer = self.world.loop.create_future()
        self._number += 1
        call = self._under_way[self._number] = Call(process, part, name, about, work, answer, self._number)
        self.on_call(call)
        late = CsiFailed(f"{name} for {about}: nothing came within {self.deadline_s:g} s")
        self.world.after(self.deadline_s * 1000, self._settle, call, None, late)
        self.world.after(self._rng.uniform(0.2, 4), self._reach, call)
        return answer

    def _reach(self, call: Call) -> None:
        if not self.up:
            self._settle(call, None, CsiFailed(f"{SOCKET}: {call.name} got no answer: No such file or directory"))
            return
        call.run = self.runs
        has = {Part.CONTROLLER: self.features.controller, Part.NODE: self.features.node}
        if not has.get(call.part, True):
            self._settle(call, None, CsiFailed(f"it has no {call.part.value}", FailureKind.UNIMPLEMENTED))
            return
        fault = self._drawn(call)
        if fault is not None:
            self.world.count(f"plugin: {fault.value}")
        if fault is Fault.REFUSED:
            self._refuse(call)
        elif fault is Fault.LIE:
            self._lie(call)
        else:
            self._begin(call, fault)

    def _begin(self, call: Call, fault: Fault | None) -> None:
        """A volume is held from here until the work is done: whoever comes meanwhile is to come again."""
        try:
            self._hold(call)
        except CsiFailed as error:
            self._settle(call, None, error)
            return
        if fault is Fault.RESTART and self._rng.random() < 0.5:
            self.restart(self._away_ms(), newer=self._rng.random() < 0.5)
        wait_ms = self._rng.uniform(1, 60) * self.slowness
        if fault is Fault.SLOW:
            wait_ms = self.deadline_s * 1000 + self._rng.uniform(10, 4_000)
        self.world.after(wait_ms, self._work, call, fault)

    def _work(self, call: Call, fault: Fault | None) -> None:
        if call.run != self.runs and (call.part is not Part.CONTROLLER or self._rng.random() < 0.5):
            self._let_go(call)
            return  # it died with the process
        result, error = None, None
        self.at_point(f"before {call.name}")
        if call.run != self.runs and call.part is not Part.CONTROLLER:
            return
        try:
            result = call.work()
        except CsiFailed as failed:
            error = failed
        except OrionError as failed:
            error = CsiFailed(f"{call.name} for {call.about} was refused: INTERNAL: {failed.detail}")
        self._let_go(call)
        self.at_point(f"after {call.name}")
        if fault is Fault.REFUSED_AFTER:
            self._refuse(call)
        elif fault is Fault.LOST:
            self._settle(call, None, CsiFailed(f"{call.name} got no answer: connection lost"))
        elif fault is Fault.RESTART and call.run == self.runs:
            self.restart(self._away_ms(), newer=self._rng.random() < 0.5)
        elif fault is not Fault.LATE:
            self._settle(call, result, error)

    def _refuse(self, call: Call) -> None:
        kinds = [k for k in KINDS if call.name != "unpublish_from_node" or k not in ABSENT]
        kind = self._rng.choice(kinds)
        self.world.count(f"plugin refuses: {kind.value}")
        if kind in NEVER:  # a version comes that takes it
            self.world.after(self._rng.uniform(200, 4_000), self.restart, self._away_ms())
            self.version += 1
        self._settle(call, None, CsiFailed(f"a seed has {call.name} for {call.about} fail: {kind.value}", kind))

    def _lie(self, call: Call) -> None:
        """It keeps to one call at a time for a volume even then. That nothing was staged nobody could see in what a
        trusting one publishes.
        """
        if call.name not in LIES or (call.name == "stage" and self.features.trusting):
            self._settle(call, None, CsiFailed(f"{call.name} was answered in no way that is true", FailureKind.LIE))
            return
        try:
            self._hold(call)
        except CsiFailed as error:
            self._settle(call, None, error)
            return
        self._let_go(call)
        self.on_lie(call.about)
        self._settle(call, None, None)

    def _settle(self, call: Call, result: object, error: CsiFailed | None) -> None:
        self._under_way.pop(call.number, None)
        call.process.post(_answered, call.answer, result, error)

    def _drawn(self, call: Call) -> Fault | None:
        rate = self.rate / 10 if call.part is Part.ITSELF else self.rate
        if not rate or self._rng.random() >= rate:
            return None
        fault = self._rng.choices(tuple(Fault), (8, 4, 2, 2, 2, 1, 4))[0]
        return Fault.REFUSED if call.part is Part.ITSELF and fault is not Fault.LIE else fault

    # --- the node's part ----------------------------------------------------------------------------------

    def require_published(self, volume: str, *, readonly: bool) -> None:
        """A lenient array has nodes that know no better."""
        if not self.array.lenient:
            self.array.require_published(volume, self.known_as, readonly=readonly)

    def require_staged(self, volume: str, staging: str) -> None:
        there = self.host.at(staging)
        if self.features.stages and (there is None or there.volume != volume) and not self.features.trusting:
            raise CsiFailed(f"volume {volume} is not staged at {staging}", FailureKind.RETRY)

    def require_alone(self, volume: str, access: Access, *paths: str) -> None:
        others = [path for path, held in self.host.table.items() if path not in paths and held[-1].volume == volume]
        if access.mode is AccessMode.SINGLE_NODE_SINGLE_WRITER and others:
            raise CsiFailed(f"volume {volume} is at {others}, to its one writer", FailureKind.RETRY)

    def mount(self, volume: str, path: str, access: Access, *, readonly: bool, of: str = "") -> None:
        """`of`: where it was staged, "" where nothing is."""
        there = self.host.at(path)
        if there is None and of and self.host.at(of) is None:
            self.host.make_directory(path)
            self.host.put(path, Mounted(None, readonly))
        elif there is None:
            self.host.mount(path, volume, access.mode, readonly=readonly)
        elif not self._is_of(there, volume) or there.readonly != readonly:
            raise CsiFailed(f"something else is at {path}", FailureKind.CONFLICT)

    def unmount(self, volume: str, path: str) -> None:
        there = self.host.at(path)
        if there is not None and not self._is_of(there, volume):
            raise CsiFailed(f"something else is at {path}, and is left there")
        self.host.unmount(path)

    def _is_of(self, there: Mounted, volume: str) -> bool:
        """A trusting one takes what it has published itself for the volume."""
        return there.volume == volume or (self.features.trusting and there.files is None)

    def _away_ms(self) -> float:
        return self._rng.uniform(50, 3_000)

    # --- one at a time ------------------------------------------------------------------------------------

    def _hold(self, call: Call) -> None:
        if not call.about:
            return
        if call.part is Part.CONTROLLER:
            self.array.hold(call.about)
        elif call.about in self._held:
            raise CsiFailed(f"another call about {call.about} is under way", FailureKind.PENDING)
        else:
            self._held[call.about] = call

    def _let_go(self, call: Call) -> None:
        if call.part is Part.CONTROLLER:
            self.array.let_go(call.about)
        elif self._held.get(call.about) is call:
            del self._held[call.about]


def _answered(answer: asyncio.Future, result: object, error: CsiFailed | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
