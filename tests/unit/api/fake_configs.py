"""The configs of a FakeService: a real replicated state, without the log."""

from orion.model.api.configs import ConfigView
from orion.model.errors import OrionError
from orion.model.levels import LEVEL
from orion.node.rpc.reads import ALL
from orion.node.services.configs import plain_folder
from orion.state.apply import apply
from orion.state.tables import State
from orion.state.tables.configs import Configs, DeleteConfig, PutConfig


class FakeConfigs:
    """`service` says how reads wait, and has the index."""

    def __init__(self, service) -> None:
        self._service = service
        self.state = State()
        self.state.level = LEVEL
        self.asked: list[dict] = []

    async def get(self, key, read):
        await self._service._read(read)
        return self.state.of(Configs).get(key), self._service.index

    async def find(self, prefix, read, page=ALL):
        await self._service._read(read)
        views = [view(stat) for stat in self.state.of(Configs).stats(prefix)]
        return self._service.listing(views, "key", page)

    async def put(self, key, value, *, if_version, idempotency_key, timeout_s, folder=False):
        value = plain_folder(value) if folder else value
        mark = idempotency_key or f"put {self._service.index}"
        return await self._change(PutConfig(1_700_000_000_000, key, value, if_version, mark, 0, folder), timeout_s)

    async def delete(self, key, *, if_version, idempotency_key, timeout_s):
        mark = idempotency_key or f"delete {self._service.index}"
        return await self._change(DeleteConfig(1_700_000_000_000, key, if_version, mark, 0), timeout_s)

    async def _change(self, command, timeout_s):
        await self._service._check()
        self.asked.append({"command": command, "timeout_s": timeout_s})
        self._service.index += 1
        result = apply(self.state, self._service.index, command).result
        if isinstance(result, OrionError):
            raise result
        return view(result), self._service.index


def view(stat):
    when = "2023-11-14T22:13:20Z"
    return ConfigView(stat.key, stat.version, stat.size_bytes, when, when, stat.folder)
