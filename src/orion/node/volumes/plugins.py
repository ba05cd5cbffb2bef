"""The plugins of this node, by their sockets' paths and by the names that they say."""

import asyncio
import logging
from collections.abc import Callable, Collection

from msgspec.structs import replace

from orion.node.volumes.one_plugin import OnePlugin, PluginState
from orion.ports.csi import CsiPlugins

log = logging.getLogger(__name__)

MAX_PLUGINS = 32


class Plugins:
    """Loads nothing while there is none. The parts of one plugin, controller and node, may be at two sockets."""

    def __init__(self, plugins: CsiPlugins) -> None:
        self._plugins = plugins
        self._by_socket: dict[str, OnePlugin] = {}
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self.on_change: list[Callable[[], None]] = []

    def follow(self, sockets: Collection[str]) -> None:
        """Has these be all that are followed; of more than MAX_PLUGINS the first by name."""
        kept = sorted(set(sockets))
        if len(kept) > MAX_PLUGINS:
            log.warning("a node has at most %d storage plugins: %s is left out", MAX_PLUGINS, kept[MAX_PLUGINS])
        self._wanted = frozenset(kept[:MAX_PLUGINS])
        self._changed.set()

    def states(self) -> list[PluginState]:
        return [each.state for _, each in sorted(self._by_socket.items())]

    async def seen_now(self, within_s: float) -> list[PluginState]:
        """Returns the states as of looks that begin after this call. One that does not answer in that time does not
        work now.
        """
        return list(await asyncio.gather(*(_now(one, within_s) for _, one in sorted(self._by_socket.items()))))

    def node_part(self, name: str) -> OnePlugin | None:
        """Returns the plugin of this name that works and has a node part."""
        return self._found(name, lambda state: state.node is not None)

    def controller_part(self, name: str) -> OnePlugin | None:
        return self._found(name, lambda state: state.controller is not None)

    def why_not(self, name: str) -> str:
        """Returns why the plugin can't be had, in words."""
        known = [each for each in self.states() if each.info is not None and each.info.name == name]
        if not known:
            return f"plugin {name} is not on this node, or has not answered yet"
        return f"plugin {name} does not work here: {known[0].why or 'it has no such part at this socket'}"

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            runners: dict[str, asyncio.Task[None]] = {}
            while True:
                self._changed.clear()
                for socket in self._by_socket.keys() - self._wanted:
                    del self._by_socket[socket]
                    runners.pop(socket).cancel()
                for socket in sorted(self._wanted - self._by_socket.keys()):
                    one = self._by_socket[socket] = OnePlugin(socket, self._plugins, self._tell)
                    runners[socket] = group.create_task(one.run(), name=f"csi-plugin-{socket}")
                self._tell()
                await self._changed.wait()

    def _found(self, name: str, suits: Callable[[PluginState], bool]) -> OnePlugin | None:
        for _, one in sorted(self._by_socket.items()):
            state = one.state
            if state.healthy and state.info is not None and state.info.name == name and suits(state):
                return one
        return None

    def _tell(self) -> None:
        for tell in self.on_change:
            tell()


async def _now(one: OnePlugin, within_s: float) -> PluginState:
    try:
        async with asyncio.timeout(within_s):
            return await one.look_again()
    except TimeoutError:
        return replace(one.state, why=one.state.why or f"it has not answered for {within_s:g} s")
