"""An engine and a task's containers there, in words for a program that knows nothing of Orion (adapters/keeper)."""

import os
from typing import Any

from orion.adapters.docker.http.address import address_from
from orion.adapters.docker.spec import PREFIX

ALLOCATION_LABEL = f"{PREFIX}allocation"


def engine_for_keeper(docker_host: str) -> dict[str, Any]:
    """Raises ValueError, as `address_from`."""
    address = address_from(docker_host, os.environ)
    tls = None
    if address.tls is not None:
        tls = "" if address.tls.folder is None else str(address.tls.folder.expanduser())
    where = {"socket": address.socket} if address.socket else {"host": address.host, "port": address.port}
    return {**where, "prefix": address.prefix, "tls": tls}
