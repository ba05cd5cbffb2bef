"""Clients of /tasks: they create, look and delete, and note what they were told."""

import json
import random
import threading
from collections.abc import Sequence

from chaos.asking import Failover, NotSent, Unknown
from chaos.counts import Counts
from chaos.floors import Gap
from chaos.ledger import Ledger, Told
from support import images

MEMORY_BYTES = 16 * 1024 * 1024
LIVE = 4  # of one client
STATIC_PORTS = (18_001, 18_002, 18_003)
PAUSE_S = (0.2, 1.0)
TRIES = 3  # of one creation, under one Idempotency-Key
# A shell that ends when it is told to; as process 1 `sleep` alone would ignore SIGTERM.
_COMMAND = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]


class TaskClient:
    def __init__(self, name: str, seed: str, addresses: Sequence[str], counts: Counts, writes: Gap) -> None:
        """`writes` is told of each that was acknowledged."""
        self._name = name
        self._rng = random.Random(f"{seed} {name}")
        self._way = Failover(addresses, self._rng)
        self._counts = counts
        self._writes = writes
        self._made = 0
        self.ledger = Ledger()

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._rng.uniform(*PAUSE_S)):
            live = self.ledger.live()
            if len(live) < LIVE and self._rng.random() < 0.7:
                self._create(stop)
            elif live and self._rng.random() < 0.4:
                self._delete(live[0])
            elif live:
                self._look(self._rng.choice(live))

    def _create(self, stop: threading.Event) -> None:
        self._made += 1
        name = f"{self._name}-{self._made}"
        static = self._rng.random() < 0.5
        kind = "create task, static port" if static else "create task"
        request: dict[str, object] = {
            "name": name,
            "image": images.BUSYBOX,
            "command": _COMMAND,
            "memory": MEMORY_BYTES,
            "restartPolicy": "always",
            "stopGraceSeconds": 2,
        }
        if static:
            request["portBindings"] = {"80/tcp": str(self._rng.choice(STATIC_PORTS))}
        told = self._try_create(json.dumps(request).encode(), name, stop)
        if told is not None:
            self.ledger.tell(name, told)
        self._counts.operation(kind, {Told.CREATED: "done", Told.MAYBE: "unknown"}.get(told, "failed"))

    def _try_create(self, body: bytes, name: str, stop: threading.Event) -> Told | None:
        """None when nothing was sent. What may have happened is asked for again, which must not be a conflict."""
        told: Told | None = None
        for _ in range(TRIES):
            try:
                answer = self._way.ask("POST", "/tasks", body, {"Idempotency-Key": name})
            except NotSent:
                pass
            except Unknown:
                told = Told.MAYBE
            else:
                if answer.status == 201:
                    self._writes.came()
                    return Told.CREATED
                self._counts.violation("creation", f"{name} was answered {answer.status}: {answer.body!r}")
                return Told.REFUSED
            if stop.wait(self._rng.uniform(0.1, 0.5)):
                break
        return told

    def _delete(self, name: str) -> None:
        try:
            answer = self._way.ask("DELETE", f"/tasks/{name}")
        except NotSent:
            self._counts.operation("delete task", "failed")
            return
        except Unknown:
            self.ledger.tell(name, Told.MAYBE_DELETED)
            self._counts.operation("delete task", "unknown")
            return
        self.ledger.tell(name, Told.DELETED)
        self._counts.operation("delete task", "done")
        if answer.status == 202:
            self._writes.came()
        else:
            words = f"{name} was created, and its deletion was answered {answer.status}: {answer.body!r}"
            self._counts.violation("acknowledged tasks", words)

    def _look(self, name: str) -> None:
        try:
            answer = self._way.ask("GET", f"/tasks/{name}")
        except NotSent:
            self._counts.operation("read task", "failed")
            return
        except Unknown:
            self._counts.operation("read task", "unknown")
            return
        self._counts.operation("read task", "done")
        if answer.status != 200:
            words = f"{name} was created, and reading it was answered {answer.status}: {answer.body!r}"
            self._counts.violation("acknowledged tasks", words)
