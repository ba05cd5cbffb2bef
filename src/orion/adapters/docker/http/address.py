"""Where an engine is, from DOCKER_HOST and its companions, as the docker command reads them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"tcp": (2375, 2376), "http": (80, 443), "https": (443, 443)}  # without and with TLS
_OUT_OF_PLACE = r"[\x00-\x20\x7f]"


class Tls(NamedTuple):
    """`folder` holds ca.pem, cert.pem and key.pem, and may begin with ~. None stands for the authorities that this
    machine trusts and no certificate of the client's.
    """

    folder: Path | None


class Address(NamedTuple):
    """One server: `socket` is a path, or `host` and `port` are set. `prefix` begins the path of each request."""

    socket: str = ""
    host: str = ""
    port: int = 0
    prefix: str = ""
    tls: Tls | None = None

    @property
    def authority(self) -> str:
        """The Host header."""
        if self.socket:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_from(docker_host: str, environment: Mapping[str, str]) -> Address:
    """Raises ValueError for what is no address of a server."""
    if docker_host.startswith("unix://"):
        path = docker_host.removeprefix("unix://")
        if not path:
            raise ValueError("unix:// needs the path of a socket")
        return Address(socket=path)
    scheme, separator, _ = docker_host.partition("://")
    if not separator or scheme not in _PORTS:
        raise ValueError("it begins with none of unix://, tcp://, http:// and https://")
    if re.search(_OUT_OF_PLACE, docker_host):
        raise ValueError("it has spaces in it")
    parts = urlsplit(docker_host)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("it must be a host, and may have a port and a path")
    tls = _tls(scheme, environment)
    plain, secure = _PORTS[scheme]
    port = parts.port or (plain if tls is None else secure)
    return Address(host=parts.hostname, port=port, prefix=parts.path.rstrip("/"), tls=tls)


def _tls(scheme: str, environment: Mapping[str, str]) -> Tls | None:
    """DOCKER_TLS_VERIFY asks for TLS whatever the scheme, with the files in DOCKER_CERT_PATH."""
    if environment.get("DOCKER_TLS_VERIFY", "") not in {"", "0"}:
        return Tls(_certificates(environment))
    return Tls(None) if scheme == "https" else None


def _certificates(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CERT_PATH") or environment.get("DOCKER_CONFIG") or "~/.docker")
