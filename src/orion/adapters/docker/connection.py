"""The way to one Docker Engine: connects late, agrees on an API version, turns every failure into EngineDown
or EngineError, and bounds every wait.
"""

import asyncio
import contextlib
import importlib
import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orion.adapters.docker import errors
from orion.model.errors import EngineDown, EngineError

if TYPE_CHECKING:
    import ssl

    import aiodocker
    import aiohttp

# Docker 20.10's. Newer engines up to 28 still speak it, and what it means is known here; an engine that no
# longer does is spoken to in the oldest that it offers.
SPOKEN_API = (1, 41)
CALL_S = 15.0  # list, inspect, info
WORK_S = 60.0  # create, start, remove: what a machine under load may need
NO_CONNECTION = 900  # aiodocker's own status, for every failed connection
MAX_LINE_BYTES = 1024 * 1024

_UNIX = "unix://"
_TCP = re.compile(r"(tcp|https?)://")

Refusal = Callable[[int, str], EngineError]  # from an HTTP status and the engine's message
Lateness = Callable[[float], EngineError]  # from the deadline in seconds


class Connection:
    def __init__(self, docker_host: str, *, call_s: float = CALL_S) -> None:
        self.docker_host = docker_host
        self.call_s = call_s
        self._client: aiodocker.Docker | None = None
        self._connecting = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def calling(
        self,
        late: Lateness,
        deadline_s: float | None = None,
        *,
        refused: Refusal = errors.refusal,
    ) -> AsyncIterator["aiodocker.Docker"]:
        """A client for one or several calls that together take at most `deadline_s`; `call_s` where not given.

        `late` is `engine_late` for what concerns the engine as a whole, and `errors.late` for what is about one
        container or image: that may hang while all else goes on.
        """
        if deadline_s is None:
            deadline_s = self.call_s
        client = await self._connected()
        with self._translating(refused):
            try:
                async with asyncio.timeout(deadline_s):
                    if client.api_version == "auto":
                        await self.negotiate(client)
                    yield client
            except TimeoutError as error:
                raise late(deadline_s) from error

    @contextlib.asynccontextmanager
    async def streaming(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        late: Lateness,
        deadline_s: float | None = None,
        refused: Refusal = errors.refusal,
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """A response to be read as it comes. The deadline is for its beginning.

        aiodocker's own readers of streams are not used: they take a lost connection for the end, queue events
        without bound, and refuse credentials for images of Docker Hub.
        """
        async with self.calling(late, deadline_s, refused=refused) as client:
            response = await client._do_query(path, method, params=params, headers=headers)  # noqa: SLF001
        try:
            with self._translating(refused):
                yield response
        finally:
            response.close()

    async def negotiate(self, client: "aiodocker.Docker") -> dict[str, Any]:
        """Agree on an API version anew (the engine may have been replaced). Gives what /version says."""
        from aiodocker.exceptions import DockerError

        client.api_version = "auto"
        try:
            version: dict[str, Any] = await client.version()
            client.api_version = api_version(version["ApiVersion"], version.get("MinAPIVersion") or "1.12")
        except (DockerError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, DockerError) and error.status == NO_CONNECTION:
                raise
            raise self.no_engine() from error
        return version

    def no_engine(self) -> EngineDown:
        return EngineDown(f"what answers at {self.docker_host} is no Docker Engine")

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
            await client.connector.close()  # aiodocker leaves one that it was given to its giver

    async def _connected(self) -> "aiodocker.Docker":
        async with self._connecting:
            if self._client is None:
                # In a thread, so that the event loop gets its turns meanwhile.
                await asyncio.to_thread(importlib.import_module, "aiodocker")
                self._client = _client(self.docker_host)
            return self._client

    def engine_late(self, deadline_s: float) -> EngineDown:
        return errors.too_late(self.docker_host, deadline_s)

    @contextlib.contextmanager
    def _translating(self, refused: Refusal) -> Iterator[None]:
        import aiohttp
        from aiodocker.exceptions import DockerError

        try:
            yield
        except DockerError as error:
            if error.status == NO_CONNECTION:
                raise errors.no_answer(self.docker_host, error) from error
            raise refused(error.status, error.message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise errors.no_answer(self.docker_host, error) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise errors.not_understood(error) from error


def api_version(newest: str, oldest: str) -> str:
    """The version to speak with an engine that offers all from `oldest` to `newest`: "v1.41"."""
    chosen = max(min(SPOKEN_API, _numbers(newest)), _numbers(oldest))
    return f"v{chosen[0]}.{chosen[1]}"


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _client(docker_host: str) -> "aiodocker.Docker":
    import aiodocker
    import aiohttp

    # No limit on connections: a hundred people following logs must not stop a container from being started.
    if docker_host.startswith(_UNIX):
        connector = aiohttp.UnixConnector(docker_host.removeprefix(_UNIX), limit=0)
        return aiodocker.Docker(url="unix://localhost", connector=connector)
    if _TCP.match(docker_host):
        tls = _tls()
        url = docker_host if tls is None else _TCP.sub("https://", docker_host)
        return aiodocker.Docker(url=url, connector=aiohttp.TCPConnector(limit=0, ssl=tls or True))
    try:
        return aiodocker.Docker(url=docker_host)
    except ValueError as error:
        raise EngineDown(f"{docker_host!r} is no address of a Docker Engine: {error}") from error


def _tls() -> "ssl.SSLContext | None":
    """As the docker command has it: DOCKER_TLS_VERIFY, with certificates in DOCKER_CERT_PATH."""
    import aiodocker

    if os.environ.get("DOCKER_TLS_VERIFY", "0") != "1":
        return None
    try:
        return aiodocker.Docker._docker_machine_ssl_context()  # noqa: SLF001
    except (OSError, ValueError) as error:  # OSError: ssl.SSLError too
        raise EngineDown(
            f"DOCKER_TLS_VERIFY is set, and the certificates in DOCKER_CERT_PATH can't be used: {error}"
        ) from error


def _silent(silence_s: float) -> EngineError:
    return EngineError(f"the Docker Engine stopped in the middle of an answer for {silence_s:.0f} s")


async def chunks(
    response: "aiohttp.ClientResponse", silence_s: float | None, late: Lateness = _silent
) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises what `late` gives after `silence_s` without a byte; None waits for ever."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                chunk = await response.content.readany()
        except TimeoutError as error:
            raise late(silence_s or 0.0) from error
        if not chunk:
            return
        yield chunk


async def json_lines(body: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    pending = b""
    async for chunk in body:
        *lines, pending = (pending + chunk).split(b"\n")
        if len(pending) > MAX_LINE_BYTES:
            raise EngineError(f"the Docker Engine sent a line of more than {MAX_LINE_BYTES} bytes")
        for line in lines:
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except ValueError as error:
                raise EngineError(f"the Docker Engine sent what is no JSON: {line[:80]!r}") from error
