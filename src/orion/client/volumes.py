"""Volumes, as methods of the client."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from orion.client.session import Session, new_key, path_of, stale_query
from orion.model.api.volumes import PrunedView, VolumeLabels, VolumeTarget, VolumeView

PAGE = 500
TAR = "application/x-tar"
FIRST_S = 75.0  # until the first of a backup is there
SILENCE_S = 120.0
REMOVE_S = 120.0  # a node removes files meanwhile


class Volumes(Session):
    def volumes(
        self, after: str = "", *, limit: int = PAGE, sizes: bool = False, stale: bool = False
    ) -> Iterator[VolumeView]:
        """All past the name `after`, by name, asked for so many at a time. `sizes`: with what their nodes say of
        them.
        """
        while True:
            query = {"limit": str(limit), **stale_query(stale)}
            query |= {"sizes": "1"} if sizes else {}
            query |= {"after": after} if after else {}
            found = self._get("/volumes", list[VolumeView], query)[0]
            yield from found
            if len(found) < limit:
                return
            after = found[-1].name

    def volume(self, name: str, *, stale: bool = False) -> VolumeView:
        """With the disk that it takes, and how far its move is."""
        return self._get(path_of("/volumes", name), VolumeView, stale_query(stale))[0]

    def create_volume(
        self, name: str, labels: Mapping[str, str] | None = None, *, idempotency_key: str = ""
    ) -> VolumeView:
        """Raises Conflict when it is there with other labels."""
        body = msgspec.json.encode(VolumeLabels(dict(labels or {})))
        return self._decoded(
            self._ask("PUT", path_of("/volumes", name), {}, _once(idempotency_key), body), VolumeView
        )

    def remove_volume(self, name: str, *, force: bool = False, idempotency_key: str = "") -> PrunedView:
        """Raises Conflict while a job asks for it, Unavailable while its node does not answer, without `force`."""
        query = {"force": "1"} if force else {}
        answer = self._ask("DELETE", path_of("/volumes", name), query, _once(idempotency_key), timeout_s=REMOVE_S)
        return self._decoded(answer, PrunedView)

    def prune_volumes(self) -> PrunedView:
        """Removes all that no job asks for."""
        return self._decoded(self._ask("DELETE", "/volumes", timeout_s=REMOVE_S), PrunedView)

    def move_volume(
        self, name: str, to: str = "", *, cancel: bool = False, idempotency_key: str = ""
    ) -> VolumeView:
        """Begins it. `to` "": where its tasks fit. `cancel`: calls it off."""
        body = msgspec.json.encode(VolumeTarget(to, cancel))
        path = f"{path_of('/volumes', name)}/move"
        return self._decoded(self._ask("POST", path, {}, _once(idempotency_key), body), VolumeView)

    def backup_volume(self, name: str, *, live: bool = False) -> Iterator[bytes]:
        """A tar with a digest at its end, in pieces. Raises Conflict while a task has it, without `live`."""
        query = {"live": "1"} if live else {}
        path = f"{path_of('/volumes', name)}/data"
        return self._transport.stream(path, query, self._headers({}), FIRST_S, SILENCE_S, TAR)

    def restore_volume(self, name: str, tar: Iterable[bytes], node: str = "") -> None:
        """Has it hold what such a tar does, and nothing else. One that is not there is made."""
        query = {"node": node} if node else {}
        path, headers = f"{path_of('/volumes', name)}/data", self._headers({"Content-Type": TAR})
        self._transport.upload(path, query, headers, tar, SILENCE_S)


def _once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key or new_key()}
