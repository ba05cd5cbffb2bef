"""Storage plugins, as methods of the client."""

from orion.client.session import Session, path_of
from orion.model.api.plugins import PluginView


class Plugins(Session):
    def plugins(self) -> list[PluginView]:
        """By name, as each node that is alive finds them now."""
        return self._get("/plugins", list[PluginView])[0]

    def plugin(self, name: str) -> PluginView:
        """Raises NotFound."""
        return self._get(path_of("/plugins", name), PluginView)[0]
