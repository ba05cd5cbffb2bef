"""Requests to a node, and answers in types: the base of the client's nouns."""

import os
from collections.abc import Mapping
from typing import Self, TypeVar
from urllib.parse import quote

import msgspec

from orion.client.transport import MARGIN_S, Answer, Transport
from orion.model.errors import Refused

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
STREAM_SILENCE_S = 10.0  # three missed heartbeats


class Session:
    """A node, asked by the methods of its subclasses, a noun each. Its arguments are those of Client."""

    def __init__(self, address: str = "localhost:8000", *, timeout_s: float = 10.0) -> None:
        self._transport = Transport(address)
        self._timeout_s = timeout_s

    @property
    def address(self) -> str:
        return self._transport.address

    @property
    def addresses(self) -> str:
        """All that may be asked, separated by commas: the one that is asked now first."""
        return self._transport.addresses

    def again(self) -> Self:
        """Another one, to the same nodes: for another thread."""
        return type(self)(self.addresses, timeout_s=self._timeout_s)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _get(self, path: str, kind: type[T], query: Mapping[str, str] | None = None) -> tuple[T, int]:
        return self._indexed(self._ask("GET", path, query), kind)

    def _poll(
        self, path: str, kind: type[T], after_index: int, wait_s: float, query: Mapping[str, str] | None = None
    ) -> tuple[T, int]:
        if not after_index:
            return self._get(path, kind, query)
        query = {**(query or {}), "index": str(after_index), "wait": f"{wait_s:g}"}
        return self._indexed(self._ask("GET", path, query, wait_s=wait_s), kind)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        wait_s: float = 0.0,
        timeout_s: float = 0.0,
    ) -> Answer:
        timeout_s = timeout_s or self._timeout_s
        all_headers = self._headers(headers or {}, timeout_s)
        return self._transport.ask(method, path, query or {}, all_headers, body, timeout_s + wait_s + MARGIN_S)

    def _headers(self, more: Mapping[str, str], timeout_s: float = 0.0) -> dict[str, str]:
        return {"Request-Timeout": f"{timeout_s or self._timeout_s:g}", **more}

    def _indexed(self, answer: Answer, kind: type[T]) -> tuple[T, int]:
        return self._decoded(answer, kind), answer.index

    def _decoded(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(f"what answers at {self.address} is not an Orion of this version: {error}") from None


def path_of(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, errors='surrogateescape')}"  # the node says what is wrong with other bytes


def new_key() -> str:
    """Lets a change be sent again when its connection breaks, without being made twice."""
    return os.urandom(12).hex()


def version_query(if_version: int | None) -> dict[str, str]:
    return {} if if_version is None else {"version": str(if_version)}


def page_query(after: str, limit: int) -> dict[str, str]:
    return {**({"after": after} if after else {}), **({"limit": str(limit)} if limit else {})}


def stale_query(stale: bool) -> dict[str, str]:
    return {"stale": "1"} if stale else {}
