"""Take away what a test cluster left on an engine: its containers, found by the cluster's label."""

import json
from typing import Any
from urllib.parse import quote

from support import api


def containers(host: str, label: str) -> list[dict[str, Any]]:
    """Containers of any state that carry `label` (name or name=value)."""
    filters = quote(json.dumps({"label": [label]}))
    found: list[dict[str, Any]] = api.ask_json(host, "GET", f"/containers/json?all=1&filters={filters}")
    return found


def remove_containers(host: str, cluster: str) -> None:
    for container in containers(host, f"dev.orion.cluster={cluster}"):
        try:
            api.ask(host, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
        except api.Refused as error:
            if error.status not in (404, 409):  # gone, or going
                raise
