"""A request as bytes."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # twice is as good as once

_NAME = r"[A-Za-z0-9-]+"
_VALUE = r"[\x20-\x7e]*"


def request_bytes(
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    upgrade: bool = False,
    chunked: bool = False,
) -> bytes:
    """Raises ValueError for a header that would not be one. `upgrade` asks the server to hand the connection over
    once it has answered. `chunked`: the body follows, in chunks.
    """
    all_of_them = dict(headers)
    if upgrade:
        all_of_them |= {"Connection": "Upgrade", "Upgrade": "tcp"}
    if not chunked and (body or method not in {"GET", "HEAD", "DELETE"}):
        all_of_them["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in all_of_them.items():
        if not re.fullmatch(_NAME, name) or not re.fullmatch(_VALUE, value):
            raise ValueError(f"{name!r}: {value!r} is no HTTP header")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def target(path: str, params: Mapping[str, str] | None = None) -> str:
    """Path and query. Names of images keep their : and @."""
    query = f"?{urlencode(params, quote_via=quote)}" if params else ""
    return quote(path, safe="/:@+") + query
