"""Registry credentials as `docker login` left them: the Docker configuration's auths, or a credential helper.

The rules are those of the docker command line: a registry's own helper, else the general one, else the file.
"""

import asyncio
import base64
import logging
import os
import re
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger(__name__)

HUB = "https://index.docker.io/v1/"  # what Docker Hub's credentials are filed under, for reasons of history
HELPER_S = 10.0
_HELPER = r"[A-Za-z0-9_.-]+"
_TOKEN_USER = "<token>"  # noqa: S105 - the helpers' mark for an identity token


async def registry_auth(image: str) -> str | None:
    """The X-Registry-Auth header for pulling `image`; None when no credentials are known.

    Trouble with the configuration is logged and means none: most images need none.
    """
    config = await asyncio.to_thread(_config)
    server = registry_of(image)
    found = await _from_helper(config, server) or _from_file(config, server)
    if found is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(found | {"serveraddress": server})).decode()


def registry_of(image: str) -> str:
    """The name under which its registry's credentials are kept. A first part without dot, colon or `localhost`
    is a name at Docker Hub.
    """
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if not is_host or first in {"docker.io", "index.docker.io"}:
        return HUB
    return first


def _config() -> dict[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG")
    try:
        path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
        loaded = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: no home directory
        log.warning("no registry credentials: the Docker configuration can't be read: %s", error)
        return {}
    if not isinstance(loaded, dict):
        log.warning("no registry credentials: the Docker configuration is no JSON object")
        return {}
    return loaded


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key) or {}
    if not isinstance(table, dict):
        log.warning("%r of the Docker configuration is damaged: it is no JSON object", key)
        return {}
    return table


class _Entry(msgspec.Struct):
    auth: str | None = None  # base64 of user:password
    identitytoken: str | None = None
    registrytoken: str | None = None
    username: str | None = None
    password: str | None = None


def _from_file(config: dict[str, Any], server: str) -> dict[str, str] | None:
    entries = {_plain_host(name): entry for name, entry in _table(config, "auths").items()}
    try:
        return _credentials(msgspec.convert(entries.get(_plain_host(server)) or {}, _Entry))
    except ValueError as error:  # msgspec's, base64's and UTF-8's too
        log.warning("the credentials for %s in the Docker configuration are damaged: %s", server, error)
        return None


def _credentials(entry: _Entry) -> dict[str, str] | None:
    """Raises ValueError when `auth` is damaged."""
    if entry.identitytoken:
        return {"identitytoken": entry.identitytoken}
    if entry.registrytoken:
        return {"registrytoken": entry.registrytoken}
    if entry.auth:
        user, _, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        return {"username": user, "password": password.rstrip("\0")}
    if entry.username:
        return {"username": entry.username, "password": entry.password or ""}
    return None


def _plain_host(server: str) -> str:
    """Older configurations hold whole addresses: https://registry.example/v2/."""
    return re.sub(r"^https?://", "", server).partition("/")[0]


async def _from_helper(config: dict[str, Any], server: str) -> dict[str, str] | None:
    helper = _table(config, "credHelpers").get(_plain_host(server)) or config.get("credsStore")
    if not helper:
        return None
    if not isinstance(helper, str) or not re.fullmatch(_HELPER, helper):
        log.warning("the Docker configuration names a credential helper that can't be: %r", helper)
        return None
    answer = await _ask_helper(f"docker-credential-{helper}", server)
    if answer is None:
        return None
    if answer.username == _TOKEN_USER:
        return {"identitytoken": answer.secret}
    return {"username": answer.username, "password": answer.secret}


class _Answer(msgspec.Struct, rename="pascal"):
    secret: str
    username: str = ""


async def _ask_helper(program: str, server: str) -> _Answer | None:
    """github.com/docker/docker-credential-helpers: the server's name in, a JSON object out."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, "get", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        log.warning("the credential helper %s can't be run: %s", program, error)
        return None
    try:
        async with asyncio.timeout(HELPER_S):
            out, _ = await process.communicate(f"{server}\n".encode())
    except TimeoutError:
        log.warning("the credential helper %s did not answer within %.0f s", program, HELPER_S)
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        log.debug("%s has no credentials for %s: %s", program, server, out.decode(errors="replace").strip())
        return None
    try:
        return msgspec.json.decode(out, type=_Answer)
    except ValueError as error:
        log.warning("the credential helper %s answered no credentials: %s", program, error)
        return None
