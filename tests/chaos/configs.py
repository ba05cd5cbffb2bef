"""Clients of /configs: they put, get, delete, compare and set on few keys, and note each answer for the checker."""

import random
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from chaos.asking import Answer, Failover, NotSent, Unknown
from chaos.counts import Counts
from chaos.floors import Gap
from support.linearizable import Operation

PAUSE_S = (0.02, 0.2)
KEYS = 3  # at a time, so that clients meet
EPOCH_S = 8.0  # then come others, so that no history grows too long to be checked
RETRY_CHANCE = 0.5
TRIES = 3

_OUTCOMES = {200: "ok", 404: "not found", 409: "conflict"}


class Asked(NamedTuple):
    """What goes into an operation before there is an answer."""

    kind: str
    key: str
    value: bytes | None = None
    if_version: int | None = None


class ConfigClient:
    def __init__(self, name: str, seed: str, addresses: Sequence[str], counts: Counts, writes: Gap) -> None:
        """`writes` is told of each that was acknowledged."""
        self._name = name
        self._rng = random.Random(f"{seed} {name}")
        self._way = Failover(addresses, self._rng)
        self._counts = counts
        self._writes = writes
        self._written = 0
        self._seen: dict[str, int] = {}  # key -> the version last seen, 0 for none
        self.history: list[Operation] = []

    def run(self, stop: threading.Event) -> None:
        began = time.monotonic()
        while not stop.wait(self._rng.uniform(*PAUSE_S)):
            epoch = int((time.monotonic() - began) / EPOCH_S)
            key = f"chaos/{epoch}/{self._rng.randrange(KEYS)}"
            what = self._rng.choices(("put", "get", "compare and set", "delete"), (30, 40, 20, 10))[0]
            self._do(what, key)

    def read_all(self) -> None:
        """The last words on every key this client ever saw."""
        for key in sorted(self._seen):
            self._do("get", key)

    def _do(self, what: str, key: str) -> None:
        asked = self._asked(what, key)
        begin = time.monotonic_ns()
        try:
            answer = self._answer(asked)
        except NotSent:
            self._counts.operation(f"{what} config", "failed")
        except Unknown:
            self._counts.operation(f"{what} config", "unknown")
            if asked.kind != "get":
                self._note(asked, begin, None, "unknown")
        else:
            self._told(what, asked, begin, answer)

    def _asked(self, what: str, key: str) -> Asked:
        if what == "get":
            return Asked("get", key)
        if what == "delete":
            at = self._seen.get(key, 0) if self._rng.random() < 0.5 else 0
            return Asked("delete", key, None, at or None)
        self._written += 1
        value = f"{self._name} {self._written}".encode()
        return Asked("put", key, value, self._seen.get(key, 0) if what == "compare and set" else None)

    def _answer(self, asked: Asked) -> Answer:
        """A write without an answer may be tried again under its Idempotency-Key, and must happen only once."""
        path, headers = f"/configs/{asked.key}", {}
        if asked.kind == "get":
            return self._way.ask("GET", path)
        if asked.if_version is not None:
            headers = {"If-Match": f'"{asked.if_version}"'} if asked.if_version else {"If-None-Match": "*"}
        method = {"put": "PUT", "delete": "DELETE"}[asked.kind]
        headers["Idempotency-Key"] = f"{self._name}-{self._rng.getrandbits(64):016x}"
        unknown: Unknown | None = None
        for _ in range(TRIES):
            try:
                return self._way.ask(method, path, asked.value, headers)
            except Unknown as error:
                unknown = error
            except NotSent as error:
                if unknown is None:
                    raise
                raise unknown from error
            if self._rng.random() >= RETRY_CHANCE:
                break
        assert unknown is not None
        raise unknown

    def _told(self, what: str, asked: Asked, begin: int, answer: Answer) -> None:
        end = time.monotonic_ns()
        outcome = _OUTCOMES.get(answer.status)
        if outcome is None:
            self._counts.violation("configs", f"{asked} was answered {answer.status}: {answer.body!r}")
            return
        version = int(answer.headers["etag"].strip('"')) if outcome == "ok" else None
        value = answer.body if asked.kind == "get" and outcome == "ok" else asked.value
        self._seen[asked.key] = 0 if version is None or asked.kind == "delete" else version
        self._counts.operation(f"{what} config", "done")
        if asked.kind != "get" and outcome == "ok":
            self._writes.came()
        self._note(asked._replace(value=value), begin, end, outcome, version)

    def _note(self, asked: Asked, begin: int, end: int | None, outcome: str, version: int | None = None) -> None:
        operation = Operation(
            client=self._name,
            kind=asked.kind,
            key=asked.key,
            begin=begin,
            end=end,
            outcome=outcome,
            value=asked.value,
            version=version,
            if_version=asked.if_version,
        )
        self.history.append(operation)
