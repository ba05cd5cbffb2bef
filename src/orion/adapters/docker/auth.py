"""Registry credentials as `docker login` left them: the Docker configuration's auths, or a credential helper.

The rules are those of the docker command line: a registry's own helper, else the general one, else the file.
"""

import asyncio
import base64
import binascii
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

HUB = "https://index.docker.io/v1/"  # what Docker Hub's credentials are filed under, for reasons of history
HELPER_S = 10.0
_HELPER = re.compile(r"[A-Za-z0-9_.-]+")
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
    return base64.urlsafe_b64encode(json.dumps(found | {"serveraddress": server}).encode()).decode()


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
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: no home directory
        log.warning("no registry credentials: the Docker configuration can't be read: %s", error)
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _from_file(config: dict[str, Any], server: str) -> dict[str, str] | None:
    entries = {_plain_host(name): entry for name, entry in (config.get("auths") or {}).items()}
    entry = entries.get(_plain_host(server))
    if not isinstance(entry, dict):
        return None
    for token in ("identitytoken", "registrytoken"):
        if entry.get(token):
            return {token: entry[token]}
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            log.warning("the credentials for %s in the Docker configuration are damaged: %s", server, error)
            return None
        return {"username": user, "password": password.rstrip("\0")}
    if entry.get("username"):
        return {"username": entry["username"], "password": entry.get("password", "")}
    return None


def _plain_host(server: str) -> str:
    """Older configurations hold whole addresses: https://registry.example/v2/."""
    return re.sub(r"^https?://", "", server).partition("/")[0]


async def _from_helper(config: dict[str, Any], server: str) -> dict[str, str] | None:
    helper = (config.get("credHelpers") or {}).get(_plain_host(server)) or config.get("credsStore")
    if not helper:
        return None
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        log.warning("the Docker configuration names a credential helper that can't be: %r", helper)
        return None
    answer = await _ask_helper(f"docker-credential-{helper}", server)
    if answer is None:
        return None
    if answer.get("Username") == _TOKEN_USER:
        return {"identitytoken": answer["Secret"]}
    return {"username": answer.get("Username", ""), "password": answer.get("Secret", "")}


async def _ask_helper(program: str, server: str) -> dict[str, str] | None:
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
        answer = json.loads(out)
    except ValueError as error:
        log.warning("the credential helper %s answered no JSON: %s", program, error)
        return None
    return answer if isinstance(answer, dict) else None
