"""Caddy as a process of ours, and its admin API on a socket that only this user opens."""

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from orion.model.errors import Unavailable

START_S = 20.0
ANSWER_S = 60.0  # a configuration is loaded once the former one has been taken down
STOP_S = 35.0  # a little more than the grace period
_AGAIN_S = 0.05
_MAX_ANSWER_BYTES = 64 << 10
_HEADERS = {"Host": "", "Content-Type": "application/json"}  # on such a socket there is no host (RFC 9110, 7.2)


class Caddy:
    """`folder` is empty, and for its configuration and its socket."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._config = folder / "caddy.json"
        self.admin = str(folder / "admin.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, config: dict[str, Any]) -> None:
        """Returns once it answers. Raises Unavailable when it does not."""
        self._config.write_text(json.dumps(config))
        command = [self._program, "run", "--config", str(self._config)]
        try:
            self._process = subprocess.Popen(command)  # noqa: S603 -- the program of this image
        except OSError as error:
            raise Unavailable(f"{self._program} can't be run: {error.strerror or error}") from None
        until = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None:
                raise Unavailable(f"Caddy has ended with {self._process.returncode}: its last lines say why")
            if time.monotonic() > until:
                raise Unavailable(f"Caddy does not answer after {START_S:g} s")
            time.sleep(_AGAIN_S)

    def _answers(self) -> bool:
        """Its admin API has a configuration only once all that this asks for has been started."""
        try:
            status, said = self._ask("GET", "/config/", None)
        except Unavailable:
            return False
        return status == http.client.OK and said.strip() != "null"

    @property
    def ended(self) -> int | None:
        """Returns its exit code, None while it runs."""
        return None if self._process is None else self._process.poll()

    def load(self, config: dict[str, Any]) -> None:
        """Has it go by another configuration. Raises Unavailable with its reason where it does not; then it goes on
        by the former one.
        """
        status, said = self._ask("POST", "/load", config)
        if status != http.client.OK:
            raise Unavailable(f"Caddy refuses its configuration: {said.strip()[:500]}")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        """Returns the status, and the answer as far as it matters."""
        connection = _UnixConnection(self.admin)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), _HEADERS)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_ANSWER_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"Caddy's admin API does not answer: {error}") from None
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends it once the requests under way have been answered, or after STOP_S."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
