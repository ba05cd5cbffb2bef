"""The cluster and the node that is asked, as methods of the client."""

from collections.abc import Collection, Iterator

import msgspec

from orion.client.session import EVENT_STREAM, STREAM_SILENCE_S, Session, stale_query
from orion.client.sse import messages
from orion.client.transport import MARGIN_S
from orion.model.api.cluster import EventView, HealthView, RaftView, TransferRequest

BACKUP_SILENCE_S = 30.0


class Cluster(Session):
    def raft(self) -> RaftView:
        return self._get("/raft", RaftView)[0]

    def transfer_leader(self, to: str = "") -> RaftView:
        """`to` empty leaves the choice to the leader."""
        body = msgspec.json.encode(TransferRequest(to))
        return self._decoded(self._ask("POST", "/raft/transfer", body=body), RaftView)

    def backup(self, *, stale: bool = False) -> Iterator[bytes]:
        """A file of the whole state at one index, in pieces cut anywhere: what 'orion snapshot restore' takes. Its
        end says whether it is whole.
        """
        return self._transport.stream(
            "/snapshot", stale_query(stale), self._headers({}), self._timeout_s + MARGIN_S, BACKUP_SILENCE_S
        )

    def events(
        self,
        after: str = "",
        *,
        follow: bool = True,
        since: str = "",
        tail: int | None = None,
        subjects: Collection[str] = (),
    ) -> Iterator[EventView | None]:
        """From just past the event with the id `after` ("0.0": the first one remembered, empty: from now on, or all
        that are remembered when not following). None: events between were forgotten, look at the state again.

        `since` as of logs. `tail`: of those that have happened only the last so many. `subjects`: only what
        happened to these nodes, tasks, jobs or volumes.
        """
        query = {"follow": "1" if follow else "0"}
        if since:
            query["since"] = since
        if tail is not None:
            query["tail"] = str(tail)
        if subjects:
            query["subject"] = ",".join(subjects)
        if after:
            query["after"] = after
        chunks = self._transport.stream(
            "/events", query, self._headers({}), self._timeout_s + MARGIN_S, STREAM_SILENCE_S, EVENT_STREAM
        )
        for message in messages(chunks):
            if message.event == "reset":
                yield None
            elif message.event == "message":
                yield msgspec.json.decode(message.data, type=EventView)

    def health(self) -> HealthView:
        """The node's, as long as its process answers."""
        return self._get("/healthz", HealthView)[0]

    def readiness(self) -> HealthView:
        """Raises Unavailable while the node knows no leader or is not up to date."""
        return self._get("/readyz", HealthView)[0]

    def metrics(self) -> str:
        """Prometheus text."""
        return self._ask("GET", "/metrics").body.decode()
