"""The command line follows what api/routes declares: each endpoint has a command, each of its parameters and each
field of its body an option or an argument, or a reason to have none.
"""

import click
import pytest

from orion.api.routes import ENDPOINTS
from orion.cli.app import COMMANDS, found, orion

COMMAND_OF = {
    ("POST", "/tasks"): "run",
    ("GET", "/tasks"): "ps",
    ("GET", "/tasks/{id}/logs"): "logs",
    ("GET", "/tasks/{id}/exec"): "exec",
    ("GET", "/tasks/{id}/connect"): "port-forward",
    ("GET", "/tasks/{id}/files"): "cp",
    ("PUT", "/tasks/{id}/files"): "cp",
    ("GET", "/tasks/{id}/stats"): "stats",
    ("GET", "/tasks/{id}/history"): "history",
    ("GET", "/tasks/{id}/checks"): "inspect",
    ("POST", "/tasks/{id}/stop"): "stop",
    ("POST", "/tasks/{id}/start"): "start",
    ("GET", "/tasks/{id}"): "inspect",
    ("DELETE", "/tasks/{id}"): "rm",
    ("PUT", "/jobs/{name}"): "update",
    ("POST", "/jobs/{name}/plan"): "plan",
    ("GET", "/jobs"): "jobs",
    ("GET", "/jobs/{name}"): "jobs",
    ("DELETE", "/jobs/{name}"): "rm",
    ("GET", "/jobs/{name}/versions"): "versions",
    ("PUT", "/jobs/{name}/count"): "scale",
    ("POST", "/jobs/{name}/rollback"): "rollback",
    ("POST", "/jobs/{name}/restart"): "restart",
    ("POST", "/jobs/{name}/promote"): "promote",
    ("GET", "/jobs/{name}/runs"): "cron runs",
    ("POST", "/jobs/{name}/run"): "cron run",
    ("POST", "/jobs/{name}/stop"): "stop",
    ("POST", "/jobs/{name}/start"): "start",
    ("GET", "/deployments"): "deployments",
    ("GET", "/deployments/{id}"): "deployments",
    ("GET", "/nodes"): "nodes",
    ("GET", "/nodes/{id}"): "nodes inspect",
    ("DELETE", "/nodes/{id}"): "nodes rm",
    ("POST", "/nodes/{id}/drain"): "drain",
    ("POST", "/nodes/{id}/stop"): "drain",
    ("POST", "/nodes/{id}/ready"): "ready",
    ("POST", "/nodes/{id}/labels"): "nodes label",
    ("GET", "/configs"): "config ls",
    ("GET", "/configs/{key}"): "config get",
    ("PUT", "/configs/{key}"): "config put",
    ("DELETE", "/configs/{key}"): "config rm",
    ("POST", "/rebalance"): "rebalance",
    ("GET", "/network"): "network ls",
    ("GET", "/network/check"): "network check",
    ("GET", "/networks"): "network ls",
    ("POST", "/networks"): "network create",
    ("GET", "/networks/{name}"): "network inspect",
    ("DELETE", "/networks/{name}"): "network rm",
    ("GET", "/plugins"): "plugin ls",
    ("GET", "/plugins/{name}"): "plugin inspect",
    ("GET", "/volumes"): "volume ls",
    ("DELETE", "/volumes"): "volume prune",
    ("GET", "/volumes/{name}"): "volume inspect",
    ("PUT", "/volumes/{name}"): "volume create",
    ("DELETE", "/volumes/{name}"): "volume rm",
    ("POST", "/volumes/{name}/move"): "volume move",
    ("GET", "/volumes/{name}/data"): "volume backup",
    ("PUT", "/volumes/{name}/data"): "volume restore",
    ("POST", "/volumes"): "volume create",
    ("POST", "/volumes/{name}/expand"): "volume expand",
    ("GET", "/volume-snapshots"): "volume snapshots",
    ("POST", "/volume-snapshots"): "volume snapshot",
    ("GET", "/volume-snapshots/{name}"): "volume snapshot",
    ("DELETE", "/volume-snapshots/{name}"): "volume snapshot-rm",
    ("GET", "/raft"): "raft",
    ("POST", "/raft/transfer"): "raft transfer",
    ("GET", "/snapshot"): "snapshot save",
    ("GET", "/events"): "events",
    ("GET", "/jobs/{name}/endpoints"): "endpoints",
}
FOR_PROGRAMS = {("GET", "/watch"), ("GET", "/metrics"), ("GET", "/healthz"), ("GET", "/readyz")}

# What an option is called where it is not called as the parameter.
CALLED = {
    "version": "if_version",
    "toVersion": "to_version",
    "subject": "name",
    "to": "node",
    "image": "image",
    "command": "words",
    "labels": "label",
    "all": "everything",
    "port": "ports",
    "id": "id_",
    "volume": "volume_name",
}
# Parameters that no command has, and why.
NO_OPTION = {
    "Request-Timeout": "a command waits as long as the client does",
    "Idempotency-Key": "the client makes one for each change",
    "Accept": "the client asks for events",
    "index": "commands that follow something poll by themselves",
    "limit": "a table shows everything",
    "If-Match": "orion update changes the job that it has looked at, and no other",
    "plan": "orion deploy --plan",
    "createdIndex": "commands that wait remember it by themselves",
}
# Fields of a body that no command has an option for, and why.
NO_FIELD = {
    "kind": "a job keeps its kind",
    "schedule": "it has an option for each of its parts, of orion cron create",
    "update": "it has an option for each of its parts",
    "hooks": "they have parts of their own: a job file says them",
}
FROM_FILES = {"plan"}  # commands whose bodies are files
NO_OPTION_OF = {
    ("GET", "/tasks/{id}/exec", "columns"): "the terminal says it",
    ("GET", "/tasks/{id}/exec", "rows"): "the terminal says it",
    ("GET", "/tasks/{id}/stats", "follow"): "it follows, unless there is a --no-stream",
    ("GET", "/tasks", "after"): NO_OPTION["limit"],
    ("GET", "/nodes", "after"): NO_OPTION["limit"],
    ("GET", "/jobs", "after"): NO_OPTION["limit"],
    ("GET", "/volumes", "after"): NO_OPTION["limit"],
    ("GET", "/volume-snapshots", "after"): NO_OPTION["limit"],
    ("GET", "/volume-snapshots/{name}", "stale"): "it waits for the one that it has had taken",
    ("GET", "/jobs", "wait"): NO_OPTION["index"],
    ("GET", "/jobs/{name}", "wait"): NO_OPTION["index"],
    ("GET", "/deployments", "after"): NO_OPTION["limit"],
    ("GET", "/deployments", "wait"): NO_OPTION["index"],
    ("GET", "/deployments/{id}", "wait"): NO_OPTION["index"],
    ("GET", "/configs", "after"): NO_OPTION["limit"],
    ("GET", "/tasks/{id}/logs", "after"): "a followed stream goes on by itself",
    ("GET", "/events", "after"): "a followed stream goes on by itself",
    ("GET", "/tasks", "wait"): NO_OPTION["index"],
    ("GET", "/tasks/{id}", "wait"): NO_OPTION["index"],
    ("GET", "/nodes", "wait"): NO_OPTION["index"],
    ("GET", "/nodes/{id}", "wait"): NO_OPTION["index"],
    ("GET", "/configs", "wait"): NO_OPTION["index"],
    ("GET", "/configs/{key}", "wait"): NO_OPTION["index"],
    ("GET", "/jobs/{name}/endpoints", "wait"): NO_OPTION["index"],
}


def command(words: str) -> click.Command:
    found: click.Command = orion
    for word in words.split():
        found = found.get_command(click.Context(found), word)
    return found


def test_every_endpoint_has_a_command():
    assert {(e.method, e.path) for e in ENDPOINTS} == set(COMMAND_OF) | FOR_PROGRAMS
    assert {words.split()[0] for words in COMMAND_OF.values()} <= {*COMMANDS, *found()}


@pytest.mark.parametrize(
    "endpoint",
    [e for e in ENDPOINTS if (e.method, e.path) not in FOR_PROGRAMS],
    ids=lambda e: f"{e.method} {e.path}",
)
def test_every_parameter_and_field_has_an_option(endpoint):
    params = command(COMMAND_OF[endpoint.method, endpoint.path]).params
    names = {param.name for param in params}
    wanted = {p.name for p in endpoint.params if p.where != "path" and p.same_as is None} - set(NO_OPTION)
    wanted = {name for name in wanted if (endpoint.method, endpoint.path, name) not in NO_OPTION_OF}
    if endpoint.body and COMMAND_OF[endpoint.method, endpoint.path] not in FROM_FILES:
        wanted |= set(endpoint.body.__struct_fields__) - set(NO_FIELD)
    missing = {name for name in wanted if not {name, CALLED.get(name, name)} & names}
    assert not missing, f"{COMMAND_OF[endpoint.method, endpoint.path]} has no option for {missing}"
    if any(p.where == "path" for p in endpoint.params):
        assert any(isinstance(param, click.Argument) for param in params)


def test_reasons_are_given_for_what_there_is():
    declared = {(e.method, e.path, p.name) for e in ENDPOINTS for p in e.params}
    assert set(NO_OPTION_OF) <= declared
    assert set(NO_OPTION) <= {name for _, _, name in declared}
    assert set(NO_FIELD) <= {name for e in ENDPOINTS if e.body for name in e.body.__struct_fields__}
