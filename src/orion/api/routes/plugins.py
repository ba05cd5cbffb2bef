"""/plugins: storage plugins, as the nodes find them now."""

from orion.api.endpoint import Routes
from orion.api.http.asgi import Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.params import TIMEOUT, Kind, path, text
from orion.model.api.plugins import PluginView
from orion.model.csi import PLUGIN_PATTERN, is_plugin_name

routes = Routes()


def _name(given: str) -> str:
    if not is_plugin_name(given):
        raise ValueError("must be a plugin's name: letters, digits, '.' and '-', as in dir.csi.example.org")
    return given


NAME = path("name", Kind(_name, **text(f"^{PLUGIN_PATTERN}$")), "the plugin")


@routes.add(
    "GET",
    "/plugins",
    "Storage plugins by name, with their health and what they can, as each node that is alive finds them now",
    params=(TIMEOUT,),
    answer=list[PluginView],
)
async def listing(call: Call) -> Response:
    return json(await call.within(call.service.plugins.find()))


@routes.add("GET", "/plugins/{name}", "One storage plugin, on all nodes", params=(NAME, TIMEOUT), answer=PluginView)
async def get(call: Call) -> Response:
    return json(await call.within(call.service.plugins.get(call[NAME])))
