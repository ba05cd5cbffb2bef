"""One plugin, found at one socket: who it is, what it can, and whether it works."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from orion.model.csi import (
    ControllerFeature,
    FailureKind,
    NodeFeature,
    NodeInfo,
    PluginFeature,
    PluginInfo,
)
from orion.model.errors import OrionError
from orion.node.runtime.isolation import UNFORESEEN
from orion.ports.csi import CsiFailed, CsiPlugin, CsiPlugins

T = TypeVar("T")

log = logging.getLogger(__name__)

LOOK_S = 10.0
FIRST_AGAIN_S = 0.5
LONGEST_AGAIN_S = 30.0


class PluginState(msgspec.Struct, frozen=True):
    """A plugin as last seen. `controller` and `node` are None where it does not have that part; `node_info` goes
    with `node`. `why`: why it does not work, "" when it does.
    """

    socket: str
    info: PluginInfo | None = None
    features: frozenset[PluginFeature] = frozenset()
    controller: frozenset[ControllerFeature] | None = None
    node: frozenset[NodeFeature] | None = None
    node_info: NodeInfo | None = None
    why: str = "it was not asked yet"

    @property
    def healthy(self) -> bool:
        return not self.why


class OnePlugin:
    """`plugin` is what to call, once it was found. `generation` grows each time that it is found working after it
    was not, or is another version: what it refused before may be taken now.
    """

    def __init__(self, socket: str, plugins: CsiPlugins, on_change: Callable[[], None]) -> None:
        self.state = PluginState(socket)
        self.generation = 0
        self.plugin: CsiPlugin | None = None
        self._plugins = plugins
        self._on_change = on_change
        self._look = asyncio.Event()
        self._looked = asyncio.Event()  # another one for each look
        self._begun = 0
        self._ended = 0

    def doubt(self) -> None:
        """Has it looked at soon: a call to it has failed. Of one that does not work that says nothing new."""
        if self.state.healthy:
            self._look.set()

    async def look_again(self) -> PluginState:
        """Returns what a look says that begins after this call."""
        self._look.set()
        former = self._begun
        while self._ended <= former:
            await self._looked.wait()
        return self.state

    async def run(self) -> None:
        """Looks at it for ever: a plugin that is away comes back by itself."""
        again_s = FIRST_AGAIN_S
        try:
            while True:
                self._look.clear()
                self._begun += 1
                self._take(await self._seen())
                self._ended = self._begun
                self._looked.set()
                self._looked = asyncio.Event()
                if self.state.healthy:
                    await self._wait(LOOK_S)
                    again_s = FIRST_AGAIN_S
                else:
                    await self._wait(again_s)
                    again_s = min(again_s * 2, LONGEST_AGAIN_S)
        finally:
            if self.plugin is not None:
                await self.plugin.close()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._look.wait()

    def _take(self, state: PluginState) -> None:
        former, self.state = self.state, state
        if state.healthy and (not former.healthy or former.info != state.info):
            self.generation += 1
            assert state.info is not None, "a healthy plugin has said who it is"
            log.info("plugin %s %s works (%s)", state.info.name, state.info.version, state.socket)
        elif former.healthy and not state.healthy:
            log.warning("plugin at %s does not work any more: %s", state.socket, state.why)
        if former != state:
            self._on_change()

    async def _seen(self) -> PluginState:
        """Asks all of it anew: a plugin that was replaced between two looks may be another one."""
        former = self.state
        try:
            if self.plugin is None:
                self.plugin = await self._plugins.open(former.socket)
            plugin = self.plugin
            info = await plugin.info()
            ready = await plugin.probe()
            state = PluginState(
                former.socket,
                info,
                await plugin.features(),
                await _had(plugin.controller_features()),
                await _had(plugin.node_features()),
                why="" if ready else "it says that it is not ready",
            )
            if state.node is None:
                return state
            return msgspec.structs.replace(state, node_info=await plugin.node_info())
        except OrionError as error:
            return msgspec.structs.replace(former, why=error.detail)
        except UNFORESEEN as error:
            log.exception("a bug in Orion, asking the plugin at %s", former.socket)
            return msgspec.structs.replace(former, why=f"a bug in Orion ({type(error).__name__}: {error})")


async def _had(call: Awaitable[T]) -> T | None:
    """Returns None where the plugin does not have that part."""
    try:
        return await call
    except CsiFailed as error:
        if error.kind is FailureKind.UNIMPLEMENTED:
            return None
        raise
