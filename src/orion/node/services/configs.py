"""Configs as the API and the agent ask for them: reads here or at a voter, changes through the log."""

from collections.abc import Iterable

from orion.model.api.configs import ConfigView
from orion.model.configs import MAX_TASK_BYTES, Config
from orion.model.errors import Refused, TooLarge
from orion.model.folders import FolderError, read_folder, write_folder
from orion.model.limits import MAX_MOUNTS
from orion.model.settings import setting_error
from orion.node.consensus.driver import RaftDriver
from orion.node.routing.changes import Changes
from orion.node.routing.forward import Forward
from orion.node.routing.submit import Submitted
from orion.node.rpc.reads import ALL, Listing, Page, Read
from orion.node.rpc.registry import Registry
from orion.node.rpc.request import CallRequest, ListRequest, NotUnderstood
from orion.node.services.freshness import Freshness
from orion.node.views import render
from orion.ports.peers import Principal
from orion.state.tables.configs import Configs as Table
from orion.state.tables.configs import DeleteConfig, PutConfig
from orion.state.tables.job_configs import find
from orion.state.view import View

PART_BYTES = 4 * 1024 * 1024  # of values in one answer, which a frame has room for


class AskConfigs(CallRequest[tuple[tuple[Config | None, ...], int]], frozen=True, tag=13):
    """The first of these configs, as many as PART_BYTES has room for and at least one: who lacks the others asks
    again. None where there is no such key. One with `@` and a version behind it is asked for at that.
    """

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
        self, *, driver: RaftDriver, forward: Forward, registry: Registry, changes: Changes, freshness: Freshness
    ) -> None:
        self._driver = driver
        self._forward = forward
        self._changes = changes
        self._freshness = freshness
        registry.answer_call(AskConfigs, self._answer_get)
        registry.answer_list(FindConfigs, self._answer_find)

    async def get(self, key: str, read: Read) -> tuple[Config | None, int]:
        (config,), index = await self._forward.ask(AskConfigs((key,), read))
        return config, index

    async def read(self, keys: tuple[str, ...]) -> tuple[Config | None, ...]:
        """Linearizable: what the agent gives a task. All are of one index, unless they take more than PART_BYTES.
        Raises TooLarge past MAX_TASK_BYTES.
        """
        found: list[Config | None] = []
        while len(found) < len(keys):
            part, _ = await self._forward.ask(AskConfigs(keys[len(found) :], Read()))
            if not 0 < len(part) <= len(keys) - len(found):
                raise NotUnderstood(f"{len(part):,} configs came where {len(keys) - len(found)} were asked for")
            found += part
            if (size := sum(len(config.value) for config in found if config is not None)) > MAX_TASK_BYTES:
                raise TooLarge(f"its configs have {size:,} bytes together; a task gets at most {MAX_TASK_BYTES:,}")
        return tuple(found)

    async def find(self, prefix: str, read: Read, page: Page = ALL) -> Listing:
        return await self._forward.ask(FindConfigs(prefix, read, page))

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        if_version: int | None,
        idempotency_key: str,
        timeout_s: float,
        folder: bool = False,
    ) -> tuple[ConfigView, int]:
        if folder:
            value = plain_folder(value)
        # Here and not in `apply`: which settings there are is this build's, and all builds must apply alike.
        if (wrong := setting_error(key, value)) is not None:
            raise Refused(wrong)
        return _answer(
            await self._changes.make(
                lambda at_ms, mark, since: PutConfig(at_ms, key, value, if_version, mark, since, folder),
                timeout_s,
                idempotency_key=idempotency_key,
            )
        )

    async def delete(
        self, key: str, *, if_version: int | None, idempotency_key: str, timeout_s: float
    ) -> tuple[ConfigView, int]:
        return _answer(
            await self._changes.make(
                lambda at_ms, mark, since: DeleteConfig(at_ms, key, if_version, mark, since),
                timeout_s,
                idempotency_key=idempotency_key,
            )
        )

    async def _answer_get(self, request: AskConfigs, _: Principal) -> tuple[tuple[Config | None, ...], int]:
        await self._freshness.reached(request.read)
        view = self._driver.view
        return _first(_find(view, key) for key in request.keys), self._driver.applied_index

    async def _answer_find(self, request: FindConfigs, _: Principal) -> Listing:
        return await self._freshness.listing(
            request.read,
            ("configs", request.prefix, request.page),
            lambda: render.configs(self._driver.view, request.prefix, request.page),
        )


def _first(configs: Iterable[Config | None]) -> tuple[Config | None, ...]:
    taken: list[Config | None] = []
    left = PART_BYTES
    for config in configs:
        left -= len(config.value) if config is not None else 0
        if taken and left < 0:
            break
        taken.append(config)
    return tuple(taken)


def plain_folder(tar: bytes) -> bytes:
    """Returns the tar in its one form, with nothing in it but what a folder has. Raises Refused."""
    try:
        return write_folder(read_folder(tar))
    except FolderError as error:
        raise Refused(f"the folder is not taken: {error}") from None


def _find(view: View, asked: str) -> Config | None:
    key, _, version = asked.partition("@")
    if not version:
        return view.of(Table).get(key)
    return find(view, key, int(version)) if version.isdecimal() and len(version) < 20 else None


def _answer(submitted: Submitted) -> tuple[ConfigView, int]:
    assert submitted.config is not None, "a change of a config is answered with it"
    return render.config(submitted.config), submitted.index
