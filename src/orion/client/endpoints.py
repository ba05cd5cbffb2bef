"""Where a job's tasks can be reached, as methods of the client."""

from collections.abc import Iterator

import msgspec

from orion.client.session import EVENT_STREAM, STREAM_SILENCE_S, Session, path_of, stale_query
from orion.client.sse import messages
from orion.client.transport import MARGIN_S
from orion.model.api.endpoints import EndpointView


class Endpoints(Session):
    """Those that are ready, or with `everything` all that run or are about to."""

    def endpoints(self, job: str, *, everything: bool = False, stale: bool = False) -> list[EndpointView]:
        return self._get(_path(job), list[EndpointView], {**_all(everything), **stale_query(stale)})[0]

    def poll_endpoints(
        self, job: str, after_index: int = 0, *, everything: bool = False, wait_s: float = 30.0
    ) -> tuple[list[EndpointView], int]:
        """As poll_tasks."""
        return self._poll(_path(job), list[EndpointView], after_index, wait_s, _all(everything))

    def follow_endpoints(self, job: str, *, everything: bool = False) -> Iterator[list[EndpointView]]:
        """The whole list, now and whenever it is another. Raises Unavailable when the node goes."""
        chunks = self._transport.stream(
            _path(job),
            _all(everything),
            self._headers({}),
            self._timeout_s + MARGIN_S,
            STREAM_SILENCE_S,
            EVENT_STREAM,
        )
        for message in messages(chunks):
            yield msgspec.json.decode(message.data, type=list[EndpointView])


def _path(job: str) -> str:
    return f"{path_of('/jobs', job)}/endpoints"


def _all(everything: bool) -> dict[str, str]:
    return {"all": "1"} if everything else {}
