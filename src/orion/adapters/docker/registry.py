"""Digests of images, from their registries by way of the engine: it knows the mirrors and the way there."""

import re
from typing import Any

from orion.adapters.docker import errors
from orion.adapters.docker.auth import registry_auth
from orion.adapters.docker.connection import Api, Connection, unless_gone
from orion.adapters.docker.spec import image_name
from orion.model.errors import EngineError

REGISTRY_S = 3.0  # somebody waits for it, and a deploy can do without
_DIGEST = r"[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,128}"


async def registry_digest(connection: Connection, image: str, *, local: bool, deadline_s: float) -> str:
    """As Engine.digest. Raises EngineError when the registry does not say it within the time."""
    name = image_name(image)
    async with connection.calling(_silent, deadline_s, refused=errors.registry_refusal) as api:
        if local and await _is_only_here(api, name):
            return ""
        auth = await registry_auth(name)
        headers = {"X-Registry-Auth": auth} if auth else None
        shown: dict[str, Any] = await api.ask("GET", f"distribution/{name}/json", headers=headers)
        digest = str(shown["Descriptor"]["digest"])
    if not re.fullmatch(_DIGEST, digest):
        raise EngineError(f"the registry of {name} gives no digest: {digest[:100]!r}")
    return digest


async def _is_only_here(api: Api, name: str) -> bool:
    """An image that was pulled, or pushed, has a digest for each registry that has it."""
    shown = await unless_gone(api.ask("GET", f"images/{name}/json"))
    return shown is not None and not shown.get("RepoDigests")


def _silent(deadline_s: float) -> EngineError:
    return EngineError(f"its registry has not answered within {deadline_s:g} s")
