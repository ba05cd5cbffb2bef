"""TLS between nodes: a seam. None everywhere until nodes have certificates."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import ssl


class Tls(msgspec.Struct, frozen=True):
    """A node answers with `server` and dials with `client`."""

    server: "ssl.SSLContext"
    client: "ssl.SSLContext"
