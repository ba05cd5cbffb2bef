"""Asks a task whether it works, from outside of its container."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from orion.model.health import ProbeResult


class Target(msgspec.Struct, frozen=True):
    """A place where a task's port may be reached. Behind a `proxy` a connection is accepted whether or not the task
    listens: one that is closed at once was not.
    """

    host: str
    port: int
    proxy: bool = False


class HttpQuestion(msgspec.Struct, frozen=True):
    """A GET. `status` 0: an answer of 200 to 399 will do."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 0


class Probe(Protocol):
    """Both ask the first of the `targets` that can be reached: the next is asked only where there is no way to the
    one before. They return within `timeout_s`, and raise nothing: whatever goes wrong is a failure, in words.
    """

    async def tcp(self, targets: Sequence[Target], timeout_s: float) -> ProbeResult: ...

    async def http(self, targets: Sequence[Target], question: HttpQuestion, timeout_s: float) -> ProbeResult: ...
