"""A real registry on loopback, Debian's docker-registry: open, or one that asks who is there."""

import base64
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from support import api, images

DEADLINE_S = 60.0
USER, PASSWORD = "ali", "open sesame"
# bcrypt, the only kind that docker-registry takes
HTPASSWD = f"{USER}:$2b$04$DCG3J/n8Uy9k.rHhpBcjYupPZIzW65NHRVfWoSnYxNT04Qit2jV8.\n"


@contextlib.contextmanager
def registry(folder: Path, *, asks: bool, namespace: str = "", address: str = "") -> Iterator[str]:
    """`127.0.0.1:port`, an address that Docker speaks plain HTTP with: a free one, or this one in that network
    namespace.
    """
    program = shutil.which("docker-registry")
    assert program is not None, "needs Debian's registry: apt-get install --no-install-recommends docker-registry"
    if not address:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
    enter = ["nsenter", f"--net=/var/run/netns/{namespace}"] if namespace else []
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    if asks:
        (folder / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*enter, program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not _listens(address, enter):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _listens(address: str, enter: list[str]) -> bool:
    host, _, port = address.partition(":")
    if enter:
        return subprocess.run([*enter, "curl", "-s", "-o", "/dev/null", address], check=False).returncode == 0
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def publish(docker_host: str, image: str, mib: int) -> None:
    """Push a new image of that many random megabytes, and forget it here so that it must be pulled."""
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo("random")
        entry.size = mib * 1024 * 1024
        tar.addfile(entry, BytesIO(secrets.token_bytes(entry.size)))
    images.import_image(docker_host, image, file.getvalue(), [])
    push(docker_host, image)
    api.ask(docker_host, "DELETE", f"/images/{image}")


def push(docker_host: str, image: str) -> None:
    name, _, tag = image.rpartition(":")
    who = {"username": USER, "password": PASSWORD}
    header = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(who).encode()).decode()}
    answer = api.ask(docker_host, "POST", f"/images/{name}/push?tag={tag}", headers=header)
    assert b'"error"' not in answer, answer
