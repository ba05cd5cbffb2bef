"""What must hold of volumes of a storage system, looked at whenever something changes: on the array, in a machine's
mounts and records, and when a container starts or ends. Containers count as running until they are killed, whoever
knows of them.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NoReturn

import msgspec

from orion.model.csi import AccessMode
from orion.node.routing.plugin_calls import CallDone
from orion.node.rpc.request import CallRequest
from sim.csi_plugin import Call, Part
from sim.disk_array import DiskArray, Publication, Stored, excludes
from sim.loop import Process
from sim.mounts import Mounted
from sim.storage_host import StorageHost
from sim.world import World

ONE_WRITER = "one node's containers write to a volume of one writer"
ONE_NODE = "a volume of one writer is published to one node"
UNDER_A_TASK = "no volume is taken from under a container"
ON_MOUNTS = "a container has what is mounted"
RECORDED = "what is mounted is on record"
STAGED_LAST = "what is staged goes last"
ONCE = "a path is mounted once"
ONE_CALL = "one call about a volume at a time"
CONTENT = "what was written is there"
REMEMBERED = 30
KEPT = "a volume that somebody has is not deleted"


class Holder(msgspec.Struct, frozen=True):
    """A container that runs, and its machine."""

    machine: str
    container: str


class StorageRules:
    """`written`: what each volume has to hold."""

    def __init__(self, world: World, array: DiskArray) -> None:
        self.world = world
        self.array = array
        self.hosts: dict[str, StorageHost] = {}
        self.written: dict[str, tuple[str, ...]] = {}
        self.on_publish: Callable[[Stored, str], None] = lambda *_: None
        self.on_unpublish: Callable[[Stored, str], None] = lambda *_: None
        self.asked: deque[CallRequest[CallDone]] = deque(maxlen=REMEMBERED)  # of controllers, by claims
        self._calls: dict[tuple[Process, Part, str], Call] = {}
        self._rows = 0
        self.checks = 0
        array.on_publish = self._on_publish
        array.on_unpublish = self._on_unpublish
        array.on_delete = self._on_delete

    def watch(self, host: StorageHost) -> None:
        self.hosts[host.name] = host
        host.plugin.on_call = self._on_call
        host.mounts.on_mount = lambda path: self._on_mount(host, path)
        host.mounts.on_unmount = lambda path, mounted: self._on_unmount(host, path, mounted)
        host.files.on_removed = lambda folder: self._on_record_removed(host, folder)

    def _fail(self, rule: str, detail: str) -> NoReturn:
        self.world.fail(rule, detail)

    # --- containers ---------------------------------------------------------------------------------------

    def on_start(self, machine: str, container: str, sources: Iterable[tuple[str, bool]]) -> None:
        """A container starts with these paths, each read-only or not."""
        host = self.hosts[machine]
        bare = host.mounts.enter(container, sources)
        if bare:
            self._fail(ON_MOUNTS, f"{container} starts on {machine} with {bare}, where nothing is mounted")
        for path, mounted in host.mounts.namespaces[container].items():
            if mounted.files is None:
                self._fail(ON_MOUNTS, f"{container} starts on {machine} with {path}, which is of no volume")
            self._check_writers(mounted)

    def on_end(self, machine: str, container: str) -> None:
        self.hosts[machine].mounts.leave(container)

    def _check_writers(self, mounted: Mounted) -> None:
        """References: AccessMode's own words for who may use a volume at a time."""
        assert mounted.files is not None, "nobody mounts anything else"
        mode = mounted.files.mode
        held = self._holders(mounted.volume)
        machines = {holder.machine for holder, _ in held}
        writers = [holder for holder, each in held if not each.readonly]
        single = mode is AccessMode.MULTI_NODE_SINGLE_WRITER and len({each.machine for each in writers}) > 1
        if (mode.one_node and len(machines) > 1) or single:
            self._fail(ONE_WRITER, f"{mounted.volume}, {mode.value}, is held by {[holder for holder, _ in held]}")
        if mode is AccessMode.SINGLE_NODE_SINGLE_WRITER and len(writers) > 1:
            self._fail(ONE_WRITER, f"{mounted.volume}, {mode.value}, is written by {writers}")

    def _holders(self, volume: str) -> list[tuple[Holder, Mounted]]:
        return [
            (Holder(host.name, container), mounted)
            for host in self.hosts.values()
            for container, paths in host.mounts.namespaces.items()
            for mounted in paths.values()
            if mounted.volume == volume
        ]

    def write(self) -> None:
        """Each container that can writes a row to each of its volumes."""
        for host in self.hosts.values():
            for container, paths in host.mounts.namespaces.items():
                for mounted in paths.values():
                    if mounted.files is not None and not mounted.readonly and mounted.volume in self.array.volumes:
                        self._rows += 1
                        row = f"{container} {self._rows}"
                        mounted.files.append(row)
                        self.written[mounted.volume] = (*self.written.get(mounted.volume, ()), row)
                        self.check_content(mounted.volume)

    def check_content(self, volume: str) -> None:
        self.checks += 1
        held, meant = self.array.read(volume), self.written.get(volume, ())
        if held != meant:
            self._fail(
                CONTENT, f"{volume} ends with {held[-3:]} of {len(held)}, meant {meant[-3:]} of {len(meant)}"
            )

    # --- the array ----------------------------------------------------------------------------------------

    def _on_publish(self, volume: Stored, node: str, wanted: Publication) -> None:
        for other, each in volume.nodes.items():
            if other != node and excludes(wanted, each):
                self._fail(ONE_NODE, f"{volume.id} is published to {other}, and to be to {node}")
        self.world.count("array: published")
        self.on_publish(volume, node)

    def _on_unpublish(self, volume: Stored, node: str) -> None:
        host = next((each for each in self.hosts.values() if each.plugin.known_as == node), None)
        held = [each for each, _ in self._holders(volume.id) if host is not None and each.machine == host.name]
        if held:
            self._fail(UNDER_A_TASK, f"{volume.id} is unpublished from {node}, where {held} have it")
        self.world.count("array: unpublished")
        self.on_unpublish(volume, node)

    def _on_delete(self, volume: Stored) -> None:
        if volume.nodes or self._holders(volume.id):
            self._fail(KEPT, f"{volume.id} is to be deleted, and published to {sorted(volume.nodes)}")
        self.written.pop(volume.id, None)

    # --- a machine ----------------------------------------------------------------------------------------

    def _on_call(self, call: Call) -> None:
        self.world.count(f"plugin called: {call.name}")
        if not call.about:
            return
        key = call.process, call.part, call.about
        former = self._calls.get(key)
        if former is not None and not former.answer.done():
            self._fail(ONE_CALL, f"{call.name} and {former.name} about {call.about} by {call.process.name}")
        self._calls[key] = call

    def _on_mount(self, host: StorageHost, path: str) -> None:
        if len(host.mounts.table[path]) > 1:
            self._fail(ONCE, f"{path} of {host.name} is mounted {len(host.mounts.table[path])} times")
        if folder_of(host, path) not in host.files.written:
            self._fail(RECORDED, f"{path} is mounted on {host.name}, which has no record of it")

    def _on_unmount(self, host: StorageHost, path: str, mounted: Mounted) -> None:
        others = [each for each, held in host.mounts.table.items() if held[-1].volume == mounted.volume]
        if path.endswith("/staging") and len(others) > 1:
            self._fail(STAGED_LAST, f"{path} of {host.name} is unmounted before {others}")
        for container, paths in host.mounts.namespaces.items():
            staged = path.endswith("/staging") and any(each.volume == mounted.volume for each in paths.values())
            if path in paths or staged:
                self._fail(UNDER_A_TASK, f"{path} of {host.name} is unmounted while {container} has it")

    def _on_record_removed(self, host: StorageHost, folder: str) -> None:
        if left := host.mounts.below(f"{host.directory}/{folder}"):
            self._fail(RECORDED, f"the record of {left} on {host.name} is removed")

    # --- the end ------------------------------------------------------------------------------------------

    def left_behind(self) -> str:
        """Says what is left when nobody wants any volume."""
        published = [volume.id for volume in self.array.volumes.values() if volume.nodes]
        left = (self.left_on(host, ()) for host in self.hosts.values())
        return next(filter(None, left), "") or (f"{published} are published" if published else "")

    def left_on(self, host: StorageHost, wanted: Collection[str]) -> str:
        """Says what is left on a machine of volumes that are not wanted there, by their ids on the array."""
        for path, stacked in host.mounts.table.items():
            if stacked[-1].volume not in wanted:
                return f"{path} is mounted on {host.name}"
        known = sorted({each.id for each in host.files.written.values()}.difference(wanted))
        return f"{host.name} remembers {known}" if known else ""


def folder_of(host: StorageHost, path: str) -> str:
    return path.removeprefix(f"{host.directory}/").partition("/")[0]
