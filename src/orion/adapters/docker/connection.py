"""The way to one Docker Engine: agrees on an API version, turns every failure into EngineDown or EngineError, and
bounds every wait.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from orion.adapters.docker import errors
from orion.adapters.docker.http import (
    Answer,
    AnswerTooLarge,
    CertificatesUnusable,
    Client,
    Refused,
    Upload,
    address_from,
)
from orion.adapters.docker.streams import Lateness
from orion.model.errors import EngineDown, EngineError

T = TypeVar("T")

# Docker 20.10's. Newer engines up to 28 still speak it, and what it means is known here; an engine that no
# longer does is spoken to in the oldest that it offers.
SPOKEN_API = (1, 41)
CALL_S = 15.0  # list, inspect, info
WORK_S = 60.0  # create, start, remove: what a machine under load may need

Refusal = Callable[[int, str], EngineError]  # from an HTTP status and the engine's message


class Api:
    """The calls of one API version."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.version = ""  # "v1.41", once agreed

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        body: bytes | dict[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Returns what the answer's JSON says, None if it says nothing."""
        path = f"{self.version}/{path}"
        return await self.client.ask(method, path, params, body=body, content_type=content_type, headers=headers)

    async def open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        body: dict[str, Any] | None = None,
        upgrade: bool = False,
    ) -> Answer:
        path, sent = f"{self.version}/{path}", b""
        if body is not None:
            headers = {"Content-Type": "application/json", **(headers or {})}
            sent = msgspec.json.encode(body)
        return await self.client.open(method, path, params, headers=headers, body=sent, upgrade=upgrade)


class Connection:
    """All that is asked of one engine goes through here."""

    def __init__(self, docker_host: str, *, call_s: float = CALL_S) -> None:
        self.docker_host = docker_host
        self.call_s = call_s
        self._api: Api | None = None

    @contextlib.asynccontextmanager
    async def calling(
        self,
        late: Lateness,
        deadline_s: float | None = None,
        *,
        refused: Refusal = errors.refusal,
    ) -> AsyncIterator[Api]:
        """For one or several calls that together take at most `deadline_s`; `call_s` where not given.

        `late` is `engine_late` for what concerns the engine as a whole, and `errors.late` for what is about one
        container or image: that may hang while all else goes on.
        """
        if deadline_s is None:
            deadline_s = self.call_s
        with self.translating(refused):
            try:
                async with asyncio.timeout(deadline_s):
                    if self._api is None:
                        self._api = Api(self._client())
                    if not self._api.version:
                        await self.negotiate(self._api)
                    yield self._api
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
        body: dict[str, Any] | None = None,
        late: Lateness,
        deadline_s: float | None = None,
        refused: Refusal = errors.refusal,
        upgrade: bool = False,
    ) -> AsyncIterator[Answer]:
        """An answer to be read as it comes, or with `upgrade` a stream that carries both ways. The deadline is for
        its beginning.
        """
        async with self.calling(late, deadline_s, refused=refused) as api:
            answer = await api.open(method, path, params, headers, body=body, upgrade=upgrade)
        with self.translating(refused), answer:
            yield answer

    @contextlib.asynccontextmanager
    async def uploading(
        self, method: str, path: str, params: Mapping[str, str], *, content_type: str, late: Lateness
    ) -> AsyncIterator[Upload]:
        """A body to be written as it comes. The deadline is for the connection."""
        async with self.calling(late) as api:
            version, client = api.version, api.client
        with self.translating(errors.refusal):
            async with client.upload(method, f"{version}/{path}", params, content_type=content_type) as upload:
                yield upload

    async def negotiate(self, api: Api) -> dict[str, Any]:
        """Agree on an API version anew (the engine may have been replaced). Returns what /version says."""
        try:
            shown: dict[str, Any] = await api.client.ask("GET", "version")
            api.version = api_version(shown["ApiVersion"], shown.get("MinAPIVersion") or "1.12")
        except OSError:
            raise
        except (Refused, AnswerTooLarge, AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.no_engine() from error
        return shown

    def no_engine(self) -> EngineDown:
        return EngineDown(f"what answers at {self.docker_host} is no Docker Engine")

    async def close(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.client.close()

    def engine_late(self, deadline_s: float) -> EngineDown:
        return errors.too_late(self.docker_host, deadline_s)

    def _client(self) -> Client:
        try:
            return Client(address_from(self.docker_host, os.environ))
        except ValueError as error:
            raise EngineDown(f"{self.docker_host!r} is no address of a Docker Engine: {error}") from error

    @contextlib.contextmanager
    def translating(self, refused: Refusal = errors.refusal) -> Iterator[None]:
        """Makes an EngineError of whatever the way to the engine raises."""
        try:
            yield
        except Refused as error:
            raise refused(error.status, error.message) from error
        except AnswerTooLarge as error:
            raise EngineError(f"the Docker Engine sent {error}") from error
        except CertificatesUnusable as error:
            raise EngineDown(f"DOCKER_TLS_VERIFY is set, and its certificates can't be used: {error}") from error
        except OSError as error:
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


async def unless_gone(call: Awaitable[T]) -> T | None:
    """None when the engine says that there is no such thing."""
    try:
        return await call
    except Refused as error:
        if error.status != 404:
            raise
        return None
