"""/openapi.json, made from the declarations of routes and the JSON schemas of the views."""

import http
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from orion import __version__
from orion.api.endpoint import Endpoint
from orion.api.params import Param
from orion.model.api.cluster import EventView
from orion.model.api.fields import structs_in
from orion.model.api.logs import LogsView, TextView
from orion.model.api.problem import Problem
from orion.model.configs import MAX_VALUE_BYTES

TAR = "application/x-tar"
_COMPONENT = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    endpoints = tuple(endpoints)
    kinds: dict[Any, None] = {Problem: None, EventView: None, LogsView: None, TextView: None}
    for endpoint in endpoints:
        kinds |= {kind: None for kind in (endpoint.body, *_structs(endpoint.answer)) if kind}
    _, components = msgspec.json.schema_components(kinds, ref_template=_COMPONENT)
    bodies = {endpoint.body for endpoint in endpoints}
    for kind in structs_in(kind for kind in kinds if kind not in bodies):
        components[kind.__name__]["required"] = _always_there(kind)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orion", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _always_there(kind: type[msgspec.Struct]) -> list[str]:
    """Keys that an answer has whatever they say: all, but defaults where its struct omits those."""
    fields = msgspec.structs.fields(kind)
    omitted = (list, dict) if kind.__struct_config__.omit_defaults else ()
    return [
        field.encode_name
        for field in fields
        if not omitted or (field.default is msgspec.NODEFAULT and field.default_factory not in omitted)
    ]


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
            **_refusals(endpoint),
        },
    }
    if endpoint.body:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": _ref(endpoint.body)}},
        }
    if endpoint.raw_body:
        tar = endpoint.raw_body == TAR
        schema = {"type": "string", "format": "binary"} | ({} if tar else {"maxLength": MAX_VALUE_BYTES})
        content = {TAR if tar else "application/octet-stream": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


_WHY = {
    400: "The request can't be read: a parameter or the JSON is wrong",
    403: "A web page asks, or by a name that is not this machine's",
    404: "There is no such thing",
    405: "There is such a thing, but not for this method",
    409: "It clashes with what is there",
    413: "The body, or the answer, is larger than what is taken",
    426: "It is a stream both ways, for WebSockets alone",
    422: "Some fields are wrong; the first twenty are named",
    431: "The address and the headers are larger than what is taken",
    500: "This node made a mistake; its log says which",
    502: "The container engine failed",
    503: "Not now: no leader, no majority, no answer in time, or too much under way. Retrying may help",
}
_ALWAYS = {400, 403, 405, 431, 500, 503}
_THINGS = {"node"}  # parameters that name what has to be there


def _refusals(endpoint: Endpoint) -> dict[str, Any]:
    """Every status that it may be refused with, all of them problem documents."""
    codes = set(_ALWAYS)
    if any(param.where == "path" for param in endpoint.params):
        codes |= {404, 422}
    if any(param.name in _THINGS for param in endpoint.params):
        codes |= {404}
    if endpoint.method != "GET":
        codes |= {409, 422}
    if endpoint.body or endpoint.raw_body or endpoint.answer is not None:
        codes |= {413}
    if endpoint.body:
        codes |= {404}
    if endpoint.goes_on:
        codes |= {404, 409, 502}
    if endpoint.raw_body == TAR:
        codes |= {502}
    if endpoint.socket:
        codes |= {426}
    content = {"application/problem+json": {"schema": _ref(Problem)}}
    return {str(code): {"description": _WHY[code], "content": content} for code in sorted(codes)}


def _parameter(param: Param[Any]) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.where,
        "required": param.required,
        "description": param.description,
        "schema": param.schema,
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer is None and endpoint.media == "application/json":
        return {}
    schema = {"type": "string"} if endpoint.answer is None else _schema(endpoint.answer)
    return {"content": {media: {"schema": schema} for media in endpoint.media.split(", ")}}


def _schema(kind: Any) -> dict[str, Any]:
    if kind is dict:
        return {"type": "object"}
    inner = get_args(kind)
    return {"type": "array", "items": _ref(inner[0])} if inner else _ref(kind)


def _ref(kind: Any) -> dict[str, Any]:
    return {"$ref": _COMPONENT.format(name=kind.__name__)}
