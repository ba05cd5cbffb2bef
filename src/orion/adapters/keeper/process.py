"""The keeper's own process. It is run as a file, with the standard library alone, so that it is small.

    python -I -S process.py DIRECTORY SOCKET LABEL ENGINE

It listens in DIRECTORY, at SOCKET, for a JSON text a line: {"until": {"ALLOCATION": SECONDS},
"ended": ["ALLOCATION"]}, times by the machine's monotonic clock, and answers each with "ok". When the time of an
allocation has come, containers whose LABEL has that value are ended by the engine, and looked for again: one may be
on its way. ENGINE is JSON: {"socket": PATH}, or host and port, with "tls" the folder of its files, "" for none;
"prefix" begins each path.

It ends by itself once there is nothing to watch and nobody has been connected for a while.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IDLE_S = 10.0
CALL_S = 6.0  # for one call to the engine
GRACE_S = 1  # from SIGTERM to SIGKILL
AGAIN_S = 1.0
LOOKS = 60  # after which a container that was on its way has come, or never does
MAX_LINE = 1 << 20
MAX_ANSWER = 16 << 20


class Watched:
    def __init__(self, until: float) -> None:
        self.told = self.until = until
        self.looks = 0


class Engine:
    def __init__(self, where: dict[str, Any]) -> None:
        self.where = where

    def call(self, method: str, path: str) -> tuple[int, bytes]:
        """Returns the status and the body. Raises OSError."""
        with self.connect() as connection:
            first = f"{method} {self.where.get('prefix', '')}{path} HTTP/1.0"
            connection.sendall(f"{first}\r\nHost: keeper\r\nContent-Length: 0\r\n\r\n".encode())
            data = b""
            while len(data) < MAX_ANSWER and (piece := connection.recv(1 << 16)):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        words = head.split(None, 2)
        if len(words) < 2 or not words[1].isdigit():
            raise OSError("the engine did not answer in HTTP")
        return int(words[1]), body

    def connect(self) -> socket.socket:
        if self.where.get("socket"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(CALL_S)
            try:
                connection.connect(self.where["socket"])
            except OSError:
                connection.close()
                raise
            return connection
        connection = socket.create_connection((self.where["host"], self.where["port"]), CALL_S)
        if self.where.get("tls") is None:
            return connection
        import ssl  # most engines are at a socket

        folder = self.where["tls"]
        context = ssl.create_default_context(cafile=f"{folder}/ca.pem" if folder else None)
        if folder:
            context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        return context.wrap_socket(connection, server_hostname=self.where["host"])

    def end_all(self, label: str, value: str) -> None:
        """Raises OSError or ValueError where it is not known that all have ended."""
        filters = json.dumps({"label": [f"{label}={value}"]})
        quoted = "".join(each if each.isalnum() else f"%{ord(each):02X}" for each in filters)
        status, body = self.call("GET", f"/containers/json?filters={quoted}")
        if status != 200:
            raise OSError(f"the engine answered {status}")
        for container in json.loads(body):
            status, _ = self.call("POST", f"/containers/{container['Id']}/stop?t={GRACE_S}")
            if status not in (204, 304, 404):
                status, _ = self.call("POST", f"/containers/{container['Id']}/kill")
            if status not in (204, 304, 404, 409):
                raise OSError(f"the engine answered {status}")


def main() -> None:
    directory, path, label, where = sys.argv[1:]
    os.chdir(directory)  # the path of a socket is short
    engine = Engine(json.loads(where))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(4)
    watched: dict[str, Watched] = {}
    clients: dict[socket.socket, bytes] = {}
    idle_since = time.monotonic()
    while True:
        now = time.monotonic()
        if watched or clients:
            idle_since = now
        elif now - idle_since > IDLE_S:
            return
        nearest = min((each.until for each in watched.values()), default=now + IDLE_S)
        ready, _, _ = select.select([listener, *clients], [], [], max(0.0, min(nearest - now, IDLE_S)))
        for one in ready:
            if one is listener:
                client, _ = listener.accept()
                client.settimeout(CALL_S)
                clients[client] = b""
            elif not listen_to(one, clients, watched):
                del clients[one]
                one.close()
        end_those_due(watched, label, engine)


def listen_to(client: socket.socket, clients: dict[socket.socket, bytes], watched: dict[str, Watched]) -> bool:
    """Returns whether it is still there."""
    try:
        piece = client.recv(1 << 16)
        if not piece or len(clients[client]) > MAX_LINE:
            return False
        *lines, clients[client] = (clients[client] + piece).split(b"\n")
        for line in lines:
            told = json.loads(line)
            for name, until in told.get("until", {}).items():
                if name not in watched or watched[name].told != float(until):
                    watched[name] = Watched(float(until))
            for name in told.get("ended", ()):
                watched.pop(name, None)
            client.sendall(b"ok\n")
    except (OSError, ValueError, AttributeError, TypeError):
        return False
    return True


def end_those_due(watched: dict[str, Watched], label: str, engine: Engine) -> None:
    now = time.monotonic()
    for name, each in list(watched.items()):
        if each.until > now:
            continue
        try:
            engine.end_all(label, name)
        except (OSError, ValueError, KeyError, TypeError) as error:  # again, however long it takes
            say(f"can't end the containers of allocation {name} yet: {error}")
        else:
            if each.looks == 0:
                say(f"the containers of allocation {name} have ended: its time was not renewed")
            each.looks += 1
        each.until = time.monotonic() + AGAIN_S
        if each.looks >= LOOKS:
            del watched[name]


def say(words: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
