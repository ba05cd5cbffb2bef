"""/openapi.json, made from the table of routes and the JSON schemas of the views."""

import http
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from orion import __version__
from orion.api.params import Param
from orion.api.routes import Endpoint
from orion.model.views import EventView, LogsView, Problem, TextView

_COMPONENT = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    endpoints = tuple(endpoints)
    kinds: dict[Any, None] = {Problem: None, EventView: None, LogsView: None, TextView: None}
    for endpoint in endpoints:
        kinds |= {kind: None for kind in (endpoint.body, *_structs(endpoint.answer)) if kind}
    _, components = msgspec.json.schema_components(kinds, ref_template=_COMPONENT)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orion", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _structs(kind: Any) -> tuple[Any, ...]:
    if kind is dict:
        return ()
    return get_args(kind) or ((kind,) if kind else ())


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": f"{endpoint.handler.__module__.rpartition('.')[2]}_{endpoint.handler.__name__}",
        "parameters": [_parameter(param) for param in endpoint.params],
        "responses": {
            str(endpoint.status): {
                "description": http.HTTPStatus(endpoint.status).phrase,
                **_content(endpoint),
            },
            "default": {
                "description": "What went wrong (RFC 9457)",
                "content": {"application/problem+json": {"schema": _ref(Problem)}},
            },
        },
    }
    if endpoint.body:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": _ref(endpoint.body)}},
        }
    if endpoint.raw_body:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(param: Param[Any]) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.where,
        "required": param.where == "path",
        "description": param.text,
        "schema": param.schema,
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer is None and endpoint.media == "application/json":
        return {}
    schema = {"type": "string"} if endpoint.answer is None else _schema(endpoint.answer)
    return {"content": {endpoint.media: {"schema": schema}}}


def _schema(kind: Any) -> dict[str, Any]:
    if kind is dict:
        return {"type": "object"}
    inner = get_args(kind)
    return {"type": "array", "items": _ref(inner[0])} if inner else _ref(kind)


def _ref(kind: Any) -> dict[str, Any]:
    return {"$ref": _COMPONENT.format(name=kind.__name__)}
