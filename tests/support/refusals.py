"""A registry that gives nobody anything: a real HTTP server, in front of which a real engine pulls."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_API = {"Docker-Distribution-API-Version": "registry/2.0"}
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}


class RefusingRegistry:
    """`address` is one that Docker speaks plain HTTP with. An image `address/s401/NAME` is refused with 401, and so
    on; `asked` counts the requests for each folder.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"127.0.0.1:{server.server_port}"
        self.asked: Counter[str] = Counter()

    def image(self, status: int) -> str:
        return f"{self.address}/s{status}/thing:1"

    def times_asked(self, status: int) -> int:
        return self.asked[f"s{status}"]


@contextlib.contextmanager
def refusing_registry() -> Iterator[RefusingRegistry]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            folder = self.path.removeprefix("/v2/").partition("/")[0]
            if not folder:
                self._answer(200, b"{}")
                return
            registry.asked[folder] += 1
            status = int(folder.removeprefix("s"))
            error = {"code": _CODES[status], "message": "not now, not to you"}
            self._answer(status, json.dumps({"errors": [error]}).encode())

        do_HEAD = do_GET  # noqa: N815 -- as http.server calls it

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            for name, value in (_API | {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class has it so
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry = RefusingRegistry(server)
        runner = threading.Thread(target=server.serve_forever, name="refusing-registry")
        runner.start()
        try:
            yield registry
        finally:
            server.shutdown()
            runner.join()
