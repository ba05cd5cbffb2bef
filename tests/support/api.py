"""Ask a Docker Engine with nothing but the standard library: works before any package is installed, and apart
from the adapter that is being tested.
"""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"


class Refused(Exception):
    """The engine answered with an error; `status` is the HTTP status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    host: str,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    *,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    timeout_s: float = 60.0,
) -> bytes:
    """The body of the answer. Raises OSError when the engine does not answer, Refused when it says no."""
    scheme, address, socket_path, *_ = urlsplit(host)
    connection = (
        _UnixConnection(socket_path, timeout_s)
        if scheme == "unix"
        else http.client.HTTPConnection(address, timeout=timeout_s)
    )
    try:
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, body=sent, headers={"Content-Type": content_type, **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 400:
            raise Refused(response.status, _words(answer))
        return answer
    finally:
        connection.close()


def ask_json(host: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return json.loads(ask(host, method, path, body) or b"null")


def run_inside(host: str, container: str, *command: str) -> None:
    """Runs a command in a container that runs, to its end."""
    asked = {"Cmd": list(command), "AttachStdout": True}
    made = ask_json(host, "POST", f"/containers/{container}/exec", asked)
    ask(host, "POST", f"/exec/{made['Id']}/start", {"Detach": False})


def answers(host: str) -> bool:
    try:
        return ask(host, "GET", "/_ping", timeout_s=3.0) == b"OK"
    except (OSError, http.client.HTTPException, Refused):
        return False


def _words(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip()
