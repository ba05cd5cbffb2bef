"""Host ports of containers, as an engine lists them."""

from collections.abc import Iterable
from typing import Any

from orion.adapters.docker.spec import PREFIX, cluster_text
from orion.model.ingress import Listener


def published_ports(listed: Iterable[dict[str, Any]], cluster: int) -> list[Listener]:
    """Returns those of IPv4, without the containers of this cluster. What is no port is left out."""
    found: list[Listener] = []
    for entry in listed:
        if (entry.get("Labels") or {}).get(f"{PREFIX}cluster") == cluster_text(cluster):
            continue
        name = next(iter(entry.get("Names") or ()), "/?").removeprefix("/")
        for each in entry.get("Ports") or ():
            port, address = each.get("PublicPort"), each.get("IP", "")
            if isinstance(port, int) and address and ":" not in address:
                found.append(Listener(port, str(each.get("Type")), address, f"container {name}"))
    return found
