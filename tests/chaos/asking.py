"""HTTP as a careful client of a cluster sees it: an answer, a certainty that nothing was sent, or not knowing."""

import http.client
import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from chaos.node import PORT

CONNECT_S = 1.0
PATIENCE_S = 4.0  # told to the node
MARGIN_S = 2.0  # how much longer the client waits than the node was told


class NotSent(Exception):
    """Nobody took the connection, or a node says that it changed nothing: nothing can have happened."""


class Unknown(Exception):
    """It may have happened, now or later, or not."""


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def index(self) -> int:
        return int(self.headers.get("x-orion-index", "0"))


def ask(
    address: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    patience_s: float = PATIENCE_S,
) -> Answer:
    """Raises NotSent or Unknown. An answer of 5xx is returned; a write that got one may have happened."""
    connection = http.client.HTTPConnection(address, PORT, timeout=CONNECT_S)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise NotSent(str(error)) from error
        assert connection.sock is not None
        connection.sock.settimeout(patience_s + MARGIN_S)
        try:
            connection.request(method, path, body, {"Request-Timeout": f"{patience_s:g}", **(headers or {})})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unknown(f"{type(error).__name__}: {error}") from error
        return Answer(response.status, data, {k.lower(): v for k, v in response.getheaders()})
    finally:
        connection.close()


class Failover:
    """One client's way through the cluster: the node it prefers until that does not take a connection or answer,
    then the next one.
    """

    def __init__(self, addresses: Sequence[str], rng: random.Random) -> None:
        self._addresses = list(addresses)
        rng.shuffle(self._addresses)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Raises NotSent when no node took a connection, Unknown when one did and gave no answer that tells."""
        last = NotSent("no nodes")
        for _ in self._addresses:
            try:
                answer = ask(self._addresses[0], method, path, body, headers)
            except NotSent as error:
                last = error
                self.turn()
                continue
            except Unknown:
                self.turn()
                raise
            if answer.status >= 500:
                self.turn()
                if b"nothing was changed" in answer.body:  # held to its word: it counts as never asked
                    last = NotSent(f"{answer.body!r}")
                    continue
                raise Unknown(f"{answer.status}: {answer.body[:200]!r}")
            return answer
        raise last

    def turn(self) -> None:
        self._addresses.append(self._addresses.pop(0))
