"""The table of all routes: the router and OpenAPI are both made from it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from orion.api.http.asgi import ASGIApp
from orion.api.http.request import Call
from orion.api.params import (
    ACCEPT_EVENTS,
    AFTER,
    AFTER_LOG,
    CONFIG_IDEMPOTENCY_KEY,
    CONFIGS_AFTER,
    CREATED_INDEX,
    EVENTS_SINCE,
    EVENTS_TAIL,
    FOLLOW_EVENTS,
    FOLLOW_LOGS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    INDEX,
    KEY,
    LAST_EVENT_ID,
    LAST_LOG_ID,
    LIMIT,
    LOG_TIMES,
    NODE,
    NODES_AFTER,
    PREFIX,
    SINCE,
    STALE,
    STREAM,
    SUBJECT,
    TAIL,
    TASK,
    TASKS_AFTER,
    TIMEOUT,
    VERSION,
    WAIT,
    WAIT_RUNNING,
    Param,
)
from orion.api.routes import cluster, configs, logs, nodes, snapshot, tasks
from orion.model.api.cluster import HealthView, RaftView, TransferRequest
from orion.model.api.configs import ConfigView
from orion.model.api.nodes import LabelsRequest, NodeView
from orion.model.api.tasks import TaskRequest, TaskView

Handler = Callable[[Call], Awaitable[ASGIApp]]


class Endpoint(msgspec.Struct, frozen=True):
    """`answer` and `media`: what a success looks like; `answer` None with JSON means no body."""

    method: str
    path: str
    handler: Handler
    summary: str
    params: tuple[Param[Any], ...] = ()
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    raw_body: bool = False  # any bytes, instead of a `body`
    answer: Any = None
    status: int = 200
    media: str = "application/json"
    goes_on: bool = False  # a stream, which a HEAD would wait for in vain


_READ = (STALE, INDEX, WAIT, TIMEOUT)
_PAGE = (LIMIT, *_READ)
_LOGS = (TASK, FOLLOW_LOGS, TAIL, SINCE, STREAM, LOG_TIMES, ACCEPT_EVENTS, AFTER_LOG, LAST_LOG_ID)
_CONFIG_CHANGE = (KEY, VERSION, IF_MATCH, IF_NONE_MATCH, CONFIG_IDEMPOTENCY_KEY, TIMEOUT)
_EVENTS = (AFTER, FOLLOW_EVENTS, EVENTS_SINCE, EVENTS_TAIL, SUBJECT, LAST_EVENT_ID)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/tasks",
        tasks.create,
        "Run a container: create a task",
        (WAIT_RUNNING, IDEMPOTENCY_KEY, TIMEOUT),
        body=TaskRequest,
        answer=TaskView,
        status=201,
    ),
    Endpoint("GET", "/tasks", tasks.listing, "All tasks, by id", (TASKS_AFTER, *_PAGE), answer=list[TaskView]),
    Endpoint(
        "GET",
        "/tasks/{id}/logs",
        logs.logs,
        "What a task has written: text, or with Accept: text/event-stream Server-Sent Events",
        _LOGS,
        media="text/plain",
        goes_on=True,
    ),
    Endpoint(
        "POST",
        "/tasks/{id}/stop",
        tasks.stop,
        "Stop a task and keep it, to be started again",
        (TASK, TIMEOUT),
        answer=TaskView,
    ),
    Endpoint(
        "POST",
        "/tasks/{id}/start",
        tasks.start,
        "Start a task that was stopped, or has ended",
        (TASK, TIMEOUT),
        answer=TaskView,
    ),
    Endpoint("GET", "/tasks/{id}", tasks.get, "One task", (TASK, *_READ), answer=TaskView),
    Endpoint(
        "DELETE",
        "/tasks/{id}",
        tasks.delete,
        "Stop a task and forget it: it is gone once its container has ended",
        (TASK, CREATED_INDEX, TIMEOUT),
        answer=TaskView,
        status=202,
    ),
    Endpoint(
        "GET", "/nodes", nodes.listing, "All nodes, the dead ones too", (NODES_AFTER, *_PAGE), answer=list[NodeView]
    ),
    Endpoint("GET", "/nodes/{id}", nodes.get, "One node", (NODE, *_READ), answer=NodeView),
    Endpoint("DELETE", "/nodes/{id}", nodes.remove, "Forget a node that is gone", (NODE, TIMEOUT), status=204),
    Endpoint(
        "POST", "/nodes/{id}/drain", nodes.drain, "Move a node's tasks elsewhere", (NODE, TIMEOUT), answer=NodeView
    ),
    Endpoint(
        "POST",
        "/nodes/{id}/stop",
        nodes.stop,
        "Stop a node that has no tasks; its program ends as after SIGTERM",
        (NODE, TIMEOUT),
        answer=NodeView,
        status=202,
    ),
    Endpoint("POST", "/nodes/{id}/ready", nodes.ready, "Give a node work again", (NODE, TIMEOUT), answer=NodeView),
    Endpoint(
        "POST",
        "/nodes/{id}/labels",
        nodes.label,
        "Change a node's labels, over what it says of itself; takes effect at once and survives its restarts",
        (NODE, TIMEOUT),
        body=LabelsRequest,
        answer=NodeView,
    ),
    Endpoint(
        "GET",
        "/configs",
        configs.listing,
        "All configs, without values",
        (PREFIX, CONFIGS_AFTER, *_PAGE),
        answer=list[ConfigView],
    ),
    Endpoint(
        "GET",
        "/configs/{key}",
        configs.get,
        "One config's value; ETag is its version",
        (KEY, *_READ),
        media="application/octet-stream",
    ),
    Endpoint(
        "PUT",
        "/configs/{key}",
        configs.put,
        "Set a config, at most 64 KiB",
        _CONFIG_CHANGE,
        raw_body=True,
        answer=ConfigView,
    ),
    Endpoint("DELETE", "/configs/{key}", configs.delete, "Delete a config", _CONFIG_CHANGE, answer=ConfigView),
    Endpoint("GET", "/raft", cluster.raft, "Consensus as this node sees it", (TIMEOUT,), answer=RaftView),
    Endpoint(
        "POST",
        "/raft/transfer",
        cluster.transfer,
        "Hand leadership to another voter",
        (TIMEOUT,),
        body=TransferRequest,
        body_required=False,
        answer=RaftView,
    ),
    Endpoint(
        "GET",
        "/snapshot",
        snapshot.save,
        "A backup of the whole state: what 'orion snapshot save' writes to a file",
        (STALE, TIMEOUT),
        media="application/octet-stream",
        goes_on=True,
    ),
    Endpoint(
        "GET",
        "/events",
        cluster.events,
        "What happens, as Server-Sent Events; data is an EventView",
        _EVENTS,
        media="text/event-stream",
        goes_on=True,
    ),
    Endpoint("GET", "/metrics", cluster.metrics, "Measures for Prometheus", media="text/plain"),
    Endpoint("GET", "/healthz", cluster.alive, "Whether the process answers", answer=HealthView),
    Endpoint("GET", "/readyz", cluster.ready, "Whether it knows a leader and is up to date", answer=HealthView),
)
