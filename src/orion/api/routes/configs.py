"""/configs: values under keys, raw bytes in and out, the version as an ETag."""

from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json, problem
from orion.api.http.request import Call
from orion.api.params import CONFIG_IDEMPOTENCY_KEY, CONFIGS_AFTER, IF_MATCH, IF_NONE_MATCH, KEY, PREFIX, VERSION
from orion.model.api.configs import ConfigView
from orion.model.configs import MAX_VALUE_BYTES, ConfigStat
from orion.model.errors import NotFound, Refused
from orion.model.times import rfc3339


async def listing(call: Call) -> ListResponse:
    find, prefix = call.service.configs.find, call[PREFIX]
    return await call.listing(lambda read, page: find(prefix, read, page), call[CONFIGS_AFTER])


async def get(call: Call) -> Response:
    key = call[KEY]
    config, index = await call.read(lambda read: call.service.configs.get(key, read))
    headers = {"x-orion-index": str(index)}
    if config is None:  # with the index, so that it can be waited for
        return problem(NotFound(f"there is no config {key}; orion config ls lists them"), headers)
    headers |= _times(config.stat) | {
        "etag": f'"{config.stat.version}"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(config.value, 200, headers, "application/octet-stream")


def _times(stat: ConfigStat) -> dict[str, str]:
    """With the value and its ETag, so that nobody has to look twice, at what may differ by then."""
    times = {"x-orion-created-at": stat.created_at_ms, "x-orion-changed-at": stat.changed_at_ms}
    return {name: rfc3339(at_ms) for name, at_ms in times.items() if at_ms}


async def put(call: Call) -> Response:
    compare = _compare(call)
    value = await call.raw_body(MAX_VALUE_BYTES)
    work = call.service.configs.put(
        call[KEY],
        value,
        if_version=compare,
        idempotency_key=call[CONFIG_IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
    )
    return _changed(*await call.within(work))


async def delete(call: Call) -> Response:
    work = call.service.configs.delete(
        call[KEY],
        if_version=_compare(call),
        idempotency_key=call[CONFIG_IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
    )
    return _changed(*await call.within(work))


def _changed(view: ConfigView, index: int) -> Response:
    return json(view, headers={"etag": f'"{view.version}"', "x-orion-index": str(index)})


def _compare(call: Call) -> int | None:
    """The version that the request demands, however it says so."""
    said = {v for v in (call[VERSION], call[IF_MATCH], call[IF_NONE_MATCH]) if v is not None}
    if len(said) > 1:
        raise Refused("version, If-Match and If-None-Match demand different versions: give one of them")
    return said.pop() if said else None
