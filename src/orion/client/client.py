"""A node's API as typed methods."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Self, TypeVar
from urllib.parse import quote

import msgspec

from orion.client.logs import LogLine, followed, once
from orion.client.sse import messages
from orion.client.transport import MARGIN_S, Answer, Transport
from orion.model.api.cluster import EventView, HealthView, RaftView, TransferRequest
from orion.model.api.configs import ConfigValue, ConfigView
from orion.model.api.history import ChangeView
from orion.model.api.nodes import LabelsRequest, NodeView
from orion.model.api.tasks import TaskRequest, TaskView
from orion.model.configs import key_error
from orion.model.errors import Refused

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
STREAM_SILENCE_S = 10.0  # three missed heartbeats
BACKUP_SILENCE_S = 30.0


class Client:
    """A node's API. `address`: host:port, or several separated by commas, of which the first that answers is asked.
    `timeout_s`: how long the node may try to answer.

    Keeps one connection open between requests; not to be used by several threads at once. All methods raise
    OrionErrors. Reads are linearizable; `stale` ones answer at once from the node's own state.
    """

    def __init__(self, address: str = "localhost:8000", *, timeout_s: float = 10.0) -> None:
        self._transport = Transport(address)
        self._timeout_s = timeout_s

    @property
    def address(self) -> str:
        return self._transport.address

    def again(self) -> "Client":
        """Another one, to the same nodes: for another thread."""
        other = Client(timeout_s=self._timeout_s)
        other._transport = self._transport.again()
        return other

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- tasks --------------------------------------------------------------------------------------------

    def create_task(
        self, request: TaskRequest, *, wait_running_s: float = 0.0, idempotency_key: str = ""
    ) -> TaskView:
        """Committed when it returns. `wait_running_s` > 0: wait until it runs or has ended, or so long."""
        query = {"wait": "running"} if wait_running_s else {}
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or _new_key(),
        }
        body = msgspec.json.encode(request)
        answer = self._ask("POST", "/tasks", query, headers, body, timeout_s=wait_running_s or self._timeout_s)
        return self._decoded(answer, TaskView)

    def tasks(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[TaskView]:
        """By id. `limit` > 0: at most so many; the next page begins `after` the id of the last."""
        return self._get("/tasks", list[TaskView], {**_stale(stale), **_page(after, limit)})[0]

    def task(self, task: str, *, stale: bool = False) -> TaskView:
        """`task`: `job/index`, or `job` alone for a job of one task."""
        return self._get(_path("/tasks", task), TaskView, _stale(stale))[0]

    def poll_tasks(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[TaskView], int]:
        """All tasks and the index they were read at, once the state has passed `after_index`, or after `wait_s`."""
        return self._poll("/tasks", list[TaskView], after_index, wait_s)

    def poll_task(self, task: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[TaskView, int]:
        """As poll_tasks."""
        return self._poll(_path("/tasks", task), TaskView, after_index, wait_s)

    def delete_task(self, task: str, *, created_index: int = 0) -> TaskView:
        """Stop it and forget it. It is NotFound once its container has ended. A task that gets its name before then
        has another `created_index`, and waits. Where one is given, no other than that is deleted, but NotFound.
        """
        query = {"createdIndex": str(created_index)} if created_index else {}
        return self._decoded(self._ask("DELETE", _path("/tasks", task), query), TaskView)

    def stop_task(self, task: str) -> TaskView:
        """Stop it and keep it. It may take its grace to end."""
        return self._decoded(self._ask("POST", f"{_path('/tasks', task)}/stop"), TaskView)

    def start_task(self, task: str) -> TaskView:
        """Start it again when it was stopped, or has ended."""
        return self._decoded(self._ask("POST", f"{_path('/tasks', task)}/start"), TaskView)

    def history(self, task: str, *, stale: bool = False) -> list[ChangeView]:
        """The changes of the task's job, oldest first; of one that was removed not long ago, too."""
        return self._get(f"{_path('/tasks', task)}/history", list[ChangeView], _stale(stale))[0]

    def logs(
        self,
        task: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: str = "",
        stream: str = "all",
        on_notice: Callable[[str], None] = lambda _: None,
        on_end: Callable[[str], None] | None = None,
    ) -> Iterator[LogLine]:
        """Yields the task's output. `since`: how long ago (10m) or an RFC 3339 time. `stream`: stdout, stderr, all.

        Following is of the task, wherever it runs, until it has ended. It goes on when the node that is asked, or
        the way to it, breaks. `on_notice` is told each time what happened, in a sentence; `on_end`, if
        it is given, in its place how the task has ended.
        """
        query = {"stream": stream, "follow": "1" if follow else "0"}
        if tail is not None:
            query["tail"] = str(tail)
        if since:
            query["since"] = since
        connect_s = self._timeout_s + MARGIN_S
        silence_s = STREAM_SILENCE_S if follow else connect_s

        def open_after(position: str) -> Iterator[bytes]:
            asked = {**query, "after": position} if position else query
            path = f"{_path('/tasks', task)}/logs"
            return self._transport.stream(path, asked, self._headers({}), connect_s, silence_s, EVENT_STREAM)

        return followed(open_after, on_notice, on_end or on_notice) if follow else once(open_after(""))

    # --- configs ------------------------------------------------------------------------------------------

    def config(self, key: str, *, stale: bool = False) -> ConfigValue:
        answer = self._ask("GET", _config_path(key), _stale(stale))
        return ConfigValue(key, answer.body, answer.version)

    def poll_config(self, key: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[ConfigValue, int]:
        """As poll_tasks."""
        query = {"index": str(after_index), "wait": f"{wait_s:g}"} if after_index else {}
        answer = self._ask("GET", _config_path(key), query, wait_s=wait_s if after_index else 0.0)
        return ConfigValue(key, answer.body, answer.version), answer.index

    def config_and_view(self, key: str, *, stale: bool = False) -> tuple[bytes, ConfigView]:
        """The value and all else of a config, as they were at one moment."""
        answer = self._ask("GET", _config_path(key), _stale(stale))
        size = len(answer.body)
        return answer.body, ConfigView(key, answer.version, size, answer.created_at, answer.changed_at)

    def configs(
        self, prefix: str = "", *, stale: bool = False, after: str = "", limit: int = 0
    ) -> list[ConfigView]:
        """All whose key begins with `prefix`, without their values. Pages as of tasks."""
        query = {"prefix": prefix, **_stale(stale), **_page(after, limit)}
        return self._get("/configs", list[ConfigView], query)[0]

    def poll_configs(
        self, prefix: str = "", after_index: int = 0, *, wait_s: float = 30.0
    ) -> tuple[list[ConfigView], int]:
        """As poll_tasks; what has changed has another version, what was deleted is not there."""
        return self._poll("/configs", list[ConfigView], after_index, wait_s, {"prefix": prefix})

    def put_config(
        self, key: str, value: bytes, *, if_version: int | None = None, idempotency_key: str = ""
    ) -> ConfigView:
        """`if_version`: only if it is at this version, 0: only if it does not exist; else Conflict."""
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": idempotency_key or _new_key()}
        answer = self._ask("PUT", _config_path(key), _compare(if_version), headers, value)
        return self._decoded(answer, ConfigView)

    def delete_config(self, key: str, *, if_version: int | None = None, idempotency_key: str = "") -> ConfigView:
        """Returns it as it was. Raises NotFound; Conflict as put_config."""
        headers = {"Idempotency-Key": idempotency_key or _new_key()}
        answer = self._ask("DELETE", _config_path(key), _compare(if_version), headers)
        return self._decoded(answer, ConfigView)

    # --- nodes --------------------------------------------------------------------------------------------

    def nodes(self, *, stale: bool = False, after: str = "", limit: int = 0) -> list[NodeView]:
        """By name, the dead ones too. Pages as of tasks."""
        return self._get("/nodes", list[NodeView], {**_stale(stale), **_page(after, limit)})[0]

    def poll_nodes(self, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[list[NodeView], int]:
        """As poll_tasks."""
        return self._poll("/nodes", list[NodeView], after_index, wait_s)

    def node(self, node: str, *, stale: bool = False) -> NodeView:
        return self._get(_path("/nodes", node), NodeView, _stale(stale))[0]

    def poll_node(self, node: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[NodeView, int]:
        """As poll_tasks."""
        return self._poll(_path("/nodes", node), NodeView, after_index, wait_s)

    def drain(self, node: str) -> NodeView:
        """Move its tasks elsewhere and give it no more."""
        return self._decoded(self._ask("POST", f"{_path('/nodes', node)}/drain"), NodeView)

    def ready(self, node: str) -> NodeView:
        """Undo a drain."""
        return self._decoded(self._ask("POST", f"{_path('/nodes', node)}/ready"), NodeView)

    def stop_node(self, node: str) -> NodeView:
        """A planned stop of one that has no tasks; Conflict where it has."""
        return self._decoded(self._ask("POST", f"{_path('/nodes', node)}/stop"), NodeView)

    def label_node(self, node: str, labels: Mapping[str, str | None]) -> NodeView:
        """Sets these labels, and takes away those of None, whatever the node says of itself."""
        body = msgspec.json.encode(LabelsRequest(dict(labels)))
        return self._decoded(self._ask("POST", f"{_path('/nodes', node)}/labels", body=body), NodeView)

    def remove_node(self, node: str) -> None:
        """Forget a node that is dead, stopped, or drained. One that still runs ends then."""
        self._ask("DELETE", _path("/nodes", node))

    # --- cluster ------------------------------------------------------------------------------------------

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
            "/snapshot", _stale(stale), self._headers({}), self._timeout_s + MARGIN_S, BACKUP_SILENCE_S
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
        happened to these nodes, tasks or jobs.
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

    # --- how ----------------------------------------------------------------------------------------------

    def _get(self, path: str, kind: type[T], query: Mapping[str, str] | None = None) -> tuple[T, int]:
        return self._indexed(self._ask("GET", path, query), kind)

    def _poll(
        self, path: str, kind: type[T], after_index: int, wait_s: float, query: Mapping[str, str] | None = None
    ) -> tuple[T, int]:
        if not after_index:
            return self._get(path, kind, query)
        query = {**(query or {}), "index": str(after_index), "wait": f"{wait_s:g}"}
        return self._indexed(self._ask("GET", path, query, wait_s=wait_s), kind)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        wait_s: float = 0.0,
        timeout_s: float = 0.0,
    ) -> Answer:
        timeout_s = timeout_s or self._timeout_s
        all_headers = self._headers(headers or {}, timeout_s)
        return self._transport.ask(method, path, query or {}, all_headers, body, timeout_s + wait_s + MARGIN_S)

    def _headers(self, more: Mapping[str, str], timeout_s: float = 0.0) -> dict[str, str]:
        return {"Request-Timeout": f"{timeout_s or self._timeout_s:g}", **more}

    def _indexed(self, answer: Answer, kind: type[T]) -> tuple[T, int]:
        return self._decoded(answer, kind), answer.index

    def _decoded(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(f"what answers at {self.address} is not an Orion of this version: {error}") from None


def _path(collection: str, name: str) -> str:
    return f"{collection}/{quote(name, errors='surrogateescape')}"  # the node says what is wrong with other bytes


def _config_path(key: str) -> str:
    """Raises Refused for what is no key: as a path, it could be that of something else."""
    if not key:
        raise Refused("the key is empty: name a config, as in app/database/url")
    if (wrong := key_error(key)) is not None:
        raise Refused(wrong)
    return _path("/configs", key)


def _new_key() -> str:
    """Lets a change be sent again when its connection breaks, without being made twice."""
    return os.urandom(12).hex()


def _compare(if_version: int | None) -> dict[str, str]:
    return {} if if_version is None else {"version": str(if_version)}


def _page(after: str, limit: int) -> dict[str, str]:
    return {**({"after": after} if after else {}), **({"limit": str(limit)} if limit else {})}


def _stale(stale: bool) -> dict[str, str]:
    return {"stale": "1"} if stale else {}
