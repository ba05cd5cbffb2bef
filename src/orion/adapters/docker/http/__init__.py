"""An HTTP/1.1 client for one server, on asyncio and httptools: as much of HTTP as the Docker Engine API needs.

It knows nothing of containers. `address`, `request` and `parser` do no I/O.
"""

from orion.adapters.docker.http.address import address_from
from orion.adapters.docker.http.client import Answer, AnswerTooLarge, Client, Refused, Upload
from orion.adapters.docker.http.pool import CertificatesUnusable

__all__ = ["Answer", "AnswerTooLarge", "CertificatesUnusable", "Client", "Refused", "Upload", "address_from"]
