"""The volumes of a FakeService: those that are made."""

from msgspec.structs import replace

from orion.model.api.volumes import PrunedView, VolumeMoveView, VolumeSizeView, VolumeView
from orion.model.errors import Conflict, NotFound

_MADE_AT = "2025-01-01T00:00:00Z"


class FakeVolumes:
    def __init__(self):
        self.volumes = {}
        self.asked = []
        self.data = {}

    def add(self, name, **more):
        view = VolumeView(
            name=name,
            kind="host",
            node_id=None,
            state="new",
            used_by=[],
            created_at=_MADE_AT,
            used_at=None,
            in_use=False,
            labels={},
            slot=None,
            driver="",
            created_index=7,
        )
        self.volumes[name] = replace(view, **more)

    async def find(self, after, limit, _read, *, sizes=False):
        self.asked.append((after, limit, sizes))
        shown = [self.volumes[name] for name in sorted(self.volumes) if name > after][:limit]
        return [replace(each, size=VolumeSizeView(4096, 1, True)) for each in shown] if sizes else shown

    async def get(self, name, _read=None):
        self._require(name)
        found = self.volumes[name]
        if found.state == "moving":  # and is there the next time
            to = found.labels["to"]
            self.volumes[name] = replace(found, state="ready", node_id=to, labels={})
            return replace(found, move=VolumeMoveView(to, 10, 20, ""))
        if found.state in ("making", "growing"):
            self.volumes[name] = replace(found, state="ready", storage=replace(found.storage, why=""))
        return found

    async def create(self, name, labels, *, idempotency_key, timeout_s):
        if name in self.volumes and self.volumes[name].labels != labels:
            raise Conflict(f"a volume {name} is there already, with other labels")
        self.add(name, labels=labels)
        return self.volumes[name]

    async def remove(self, name, *, force, idempotency_key, timeout_s):
        self._require(name)
        if self.volumes[name].used_by:
            raise Conflict(f"volume {name} is used by {self.volumes[name].used_by[0]}")
        del self.volumes[name]
        return "its node does not answer" if force else ""

    async def prune(self, *, timeout_s):
        unused = [name for name, view in self.volumes.items() if not view.used_by]
        for name in unused:
            del self.volumes[name]
        return PrunedView(unused, {})

    async def backup(self, name, *, live):
        self._require(name)
        if self.volumes[name].in_use and not live:
            raise Conflict(f"volume {name} is in use: stop web first")
        yield self.data.get(name, b"rows")

    async def restore(self, name, to, pieces, *, timeout_s):
        self.add(name, node_id=to or "node1", state="ready")
        self.data[name] = b"".join([piece async for piece in pieces])

    async def move(self, name, to, *, cancel, idempotency_key, timeout_s):
        self._require(name)
        if not cancel:
            self.volumes[name] = replace(
                self.volumes[name],
                state="moving",
                move=VolumeMoveView(to or "node3", 0, 0, ""),
                labels={"to": to or "node3"},
            )
        return self.volumes[name]

    def _require(self, name):
        if name not in self.volumes:
            raise NotFound(f"there is no volume {name}; orion volume ls lists them")
