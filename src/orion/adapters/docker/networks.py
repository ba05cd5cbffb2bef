"""A node's network on its engine: a bridge for the containers that are on the cluster's own network."""

from typing import Any

from orion.adapters.docker import errors
from orion.adapters.docker.connection import Api, Connection, unless_gone
from orion.adapters.docker.spec import PREFIX, cluster_text, place
from orion.model.container import Attachment, EngineNetwork
from orion.model.errors import EngineError

_OPTION = "com.docker.network."


async def ensure_network(connection: Connection, network: EngineNetwork, deadline_s: float) -> None:
    """As Engine.ensure_network."""
    wanted = network_config(network)
    async with connection.calling(errors.late(f"make the network {network.name}"), deadline_s) as api:
        shown = await _shown(api, network.name)
        if shown is not None:
            _require_own(shown, network.name, network.cluster)
            if _is(shown, wanted):
                return
            _require_empty(shown, network.name)
            await api.ask("DELETE", f"networks/{network.name}")
        await api.ask("POST", "networks/create", body=wanted)


async def remove_network(connection: Connection, name: str, cluster: int, deadline_s: float) -> None:
    """As Engine.remove_network."""
    async with connection.calling(errors.late(f"remove the network {name}"), deadline_s) as api:
        shown = await _shown(api, name)
        if shown is None or (shown.get("Labels") or {}).get(f"{PREFIX}cluster") != cluster_text(cluster):
            return
        _require_empty(shown, name)
        await api.ask("DELETE", f"networks/{name}")


async def connect(connection: Connection, container: str, attach: Attachment, deadline_s: float) -> None:
    """As Engine.connect. Engines before 25 take one network when a container is made."""
    for network, address in attach.others:
        body = {"Container": container, "EndpointConfig": place(address)}
        async with connection.calling(errors.late(f"connect the container with {network}"), deadline_s) as api:
            await api.ask("POST", f"networks/{network}/connect", body=body)


def network_config(network: EngineNetwork) -> dict[str, Any]:
    """The body of POST /networks/create. Who leaves the cluster's network is masqueraded by Orion's own rules.

    Engines from version 28 on let nothing from other devices reach a container's own address, unless these are
    named.
    """
    return {
        "Name": network.name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": network.subnet, "Gateway": network.gateway}]},
        "Options": {
            f"{_OPTION}bridge.name": network.bridge,
            f"{_OPTION}bridge.enable_ip_masquerade": "false",
            f"{_OPTION}bridge.trusted_host_interfaces": network.uplink,
            f"{_OPTION}driver.mtu": str(network.mtu),
        },
        "Labels": {f"{PREFIX}cluster": cluster_text(network.cluster), f"{PREFIX}node": network.node},
    }


async def _shown(api: Api, name: str) -> dict[str, Any] | None:
    shown = await unless_gone(api.ask("GET", f"networks/{name}"))
    # A name may be the beginning of another network's id.
    return dict(shown) if shown is not None and shown.get("Name") == name else None


def _require_own(shown: dict[str, Any], name: str, cluster: int) -> None:
    owner = (shown.get("Labels") or {}).get(f"{PREFIX}cluster")
    if owner == cluster_text(cluster):
        return
    whose = f"of another cluster ({owner})" if owner else "not Orion's"
    raise EngineError(
        f"there is a network {name} on this engine that is {whose}: remove it with 'docker network rm {name}'"
    )


def _require_empty(shown: dict[str, Any], name: str) -> None:
    held = sorted(str(each.get("Name")) for each in (shown.get("Containers") or {}).values())
    if held:
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise EngineError(f"containers are still on the network {name}: {', '.join(held[:3])}{more}")


def _is(shown: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Returns whether it is as wanted, the options aside that an engine does not know and forgets."""
    ranges = (shown.get("IPAM") or {}).get("Config") or ()
    options = shown.get("Options") or {}
    return (
        [{key: each.get(key) for key in ("Subnet", "Gateway")} for each in ranges] == wanted["IPAM"]["Config"]
        and all(options.get(key, value) == value for key, value in wanted["Options"].items())
        and shown.get("Labels") == wanted["Labels"]
    )
