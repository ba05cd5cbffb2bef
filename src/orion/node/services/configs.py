"""Configs as the API and the agent ask for them: reads here or at a voter, changes through the log."""

from orion.model.api.configs import ConfigView
from orion.model.configs import Config
from orion.model.errors import Refused
from orion.model.limits import MAX_MOUNTS
from orion.model.settings import setting_error
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.forward import Forward
from orion.node.routing.idempotency import Marks
from orion.node.routing.submit import Submitted, Submitter
from orion.node.rpc.lists import Captured, Lists
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, ListRequest
from orion.node.services.freshness import Freshness
from orion.node.views import render
from orion.ports.clock import Clock
from orion.ports.peers import Principal
from orion.state.tables.configs import Configs as Table
from orion.state.tables.configs import DeleteConfig, PutConfig


class AskConfigs(CallRequest[tuple[tuple[Config | None, ...], int]], frozen=True, tag=13):
    """These configs, None where there is no such key."""

    keys: tuple[str, ...]
    read: Read

    def fault(self) -> str:
        many = len(self.keys)
        return f"{many:,} configs at a time; at most {MAX_MOUNTS} are given" if many > MAX_MOUNTS else ""


class FindConfigs(ListRequest, frozen=True, tag=14):
    """All whose key begins with `prefix`, by key."""

    prefix: str
    read: Read
    page: Page = ALL


class Configs:
    """Fulfils service.ConfigService."""

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        forward: Forward,
        registry: Registry,
        submitter: Submitter,
        marks: Marks,
        freshness: Freshness,
        lists: Lists,
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._forward = forward
        self._submitter = submitter
        self._marks = marks
        self._freshness = freshness
        self._lists = lists
        registry.answer_call(AskConfigs, self._answer_get)
        registry.answer_list(FindConfigs, self._answer_find)

    async def get(self, key: str, read: Read) -> tuple[Config | None, int]:
        (config,), index = await self._forward.ask(AskConfigs((key,), read))
        return config, index

    async def read(self, keys: tuple[str, ...]) -> tuple[Config | None, ...]:
        """Linearizable, all at one index: what the agent gives a task."""
        configs, _ = await self._forward.ask(AskConfigs(keys, Read()))
        return configs

    async def find(self, prefix: str, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(FindConfigs(prefix, read, page))

    async def put(
        self, key: str, value: bytes, *, if_version: int | None, idempotency_key: str, timeout_s: float
    ) -> tuple[ConfigView, int]:
        # Here and not in `apply`: which settings there are is this build's, and all builds must apply alike.
        if (wrong := setting_error(key, value)) is not None:
            raise Refused(wrong)
        mark, since = await self._marks.new(idempotency_key, timeout_s)
        command = PutConfig(self._clock.wall_ms(), key, value, if_version, mark, since)
        return _answer(await self._submitter.submit(command, timeout_s=timeout_s))

    async def delete(
        self, key: str, *, if_version: int | None, idempotency_key: str, timeout_s: float
    ) -> tuple[ConfigView, int]:
        mark, since = await self._marks.new(idempotency_key, timeout_s)
        command = DeleteConfig(self._clock.wall_ms(), key, if_version, mark, since)
        return _answer(await self._submitter.submit(command, timeout_s=timeout_s))

    async def _answer_get(self, request: AskConfigs, _: Principal) -> tuple[tuple[Config | None, ...], int]:
        await self._freshness.reached(request.read)
        rows = self._driver.view.of(Table)
        return tuple(rows.get(key) for key in request.keys), self._driver.applied_index

    async def _answer_find(self, request: FindConfigs, _: Principal) -> Listing:
        at_least = await self._freshness.reached(request.read)
        driver = self._driver

        def capture() -> Captured:
            views, following = render.configs(driver.view, request.prefix, request.page)
            return Captured(driver.applied_index, (), following, iter(views))

        return await self._lists.get(("configs", request.prefix, request.page), at_least, tuple, capture)


def _answer(submitted: Submitted) -> tuple[ConfigView, int]:
    assert submitted.config is not None, "a change of a config is answered with it"
    return render.config(submitted.config), submitted.index
