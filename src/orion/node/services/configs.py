"""Configs as the API and the agent ask for them: reads here or at a voter, changes through the log."""

from collections.abc import Awaitable, Callable
from typing import Any

from orion.model.api.configs import ConfigView
from orion.model.configs import Config
from orion.model.errors import Refused
from orion.model.settings import setting_error
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.idempotency import Ask, Marks
from orion.node.routing.submit import Submitter
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.requests import AskConfigs, FindConfigs, Request, Submitted
from orion.node.services.lists import Captured, Lists
from orion.node.views import render
from orion.ports.clock import Clock
from orion.state.commands import DeleteConfig, PutConfig


class Configs:
    """Fulfils service.ConfigService. `fresh` returns when this node's state is as fresh as a read demands."""

    def __init__(
        self,
        *,
        clock: Clock,
        driver: RaftDriver,
        submitter: Submitter,
        ask: Ask,
        marks: Marks,
        fresh: Callable[[Read], Awaitable[int]],
        lists: Lists,
    ) -> None:
        self._clock = clock
        self._driver = driver
        self._submitter = submitter
        self._ask = ask
        self._marks = marks
        self._fresh = fresh
        self._lists = lists
        self.local: dict[type[Request[Any]], Callable[[Any], Awaitable[object]]] = {
            AskConfigs: self._read,
            FindConfigs: self._find,
        }

    async def get(self, key: str, read: Read) -> tuple[Config | None, int]:
        (config,), index = await self._ask(AskConfigs((key,), read))
        return config, index

    async def read(self, keys: tuple[str, ...]) -> tuple[Config | None, ...]:
        """Linearizable, all at one index: what the agent gives a task."""
        configs, _ = await self._ask(AskConfigs(keys, Read()))
        return configs

    async def find(self, prefix: str, read: Read, page: Page = ALL) -> Listing:
        return await self._ask(FindConfigs(prefix, read, page))

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

    async def _read(self, request: AskConfigs) -> tuple[tuple[Config | None, ...], int]:
        await self._fresh(request.read)
        view = self._driver.view
        return tuple(view.config(key) for key in request.keys), self._driver.applied_index

    async def _find(self, request: FindConfigs) -> Listing:
        at_least = await self._fresh(request.read)
        driver = self._driver

        def capture() -> Captured:
            views, following = render.configs(driver.view, request.prefix, request.page)
            return Captured(driver.applied_index, (), following, iter(views))

        return await self._lists.get(("configs", request.prefix, request.page), at_least, tuple, capture)


def _answer(submitted: Submitted) -> tuple[ConfigView, int]:
    assert submitted.config is not None, "a change of a config is answered with it"
    return render.config(submitted.config), submitted.index
