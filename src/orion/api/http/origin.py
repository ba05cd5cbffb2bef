"""Refuses web pages. A page that a user of this machine opens can make their browser send requests to localhost,
and can point a host name of its own at 127.0.0.1 to read the answers (DNS rebinding). Programs send no Origin, and
name a loopback address by number or as localhost, so neither check is in a person's way.
"""

import ipaddress
import os

from orion.api.http.asgi import Scope, header
from orion.api.http.problems import Forbidden

_MY_NAME = os.uname().nodename.lower()


def refuse_web_pages(scope: Scope) -> None:
    """Raises Forbidden."""
    host = (header(scope, "host") or "").lower()
    if scope["server"] and _loopback(scope["server"][0]) and not _names_this_machine(host):
        raise Forbidden(f"{host[:80]!r} is not a name of this machine: ask for localhost or its address instead")
    origin = header(scope, "origin")
    # A browser lets any page open a WebSocket anywhere, and read it.
    harmless = scope["method"] in {"GET", "HEAD"} and header(scope, "upgrade") is None
    if not harmless and origin and origin.lower().partition("://")[2] != host:
        raise Forbidden(f"a page of {origin[:80]!r} can't change anything here")


def _names_this_machine(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].rstrip(".")
    if name in {"", "localhost", _MY_NAME, _MY_NAME.partition(".")[0]} or name.endswith(".localhost"):
        return True
    return _address(name) is not None


def _loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
