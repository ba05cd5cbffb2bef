"""/configs: values under keys, raw bytes in and out, the version as an ETag."""

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Response
from orion.api.http.lists import ListResponse
from orion.api.http.problems import json, problem
from orion.api.http.request import Call
from orion.api.params import COUNT, FLAG, ONCE_KEY, PAGE, READ, TIMEOUT, Kind, header, path, query, text, whole
from orion.model.api.configs import ConfigView
from orion.model.configs import KEY_PATTERN, MAX_KEY_BYTES, MAX_VALUE_BYTES, ConfigStat, key_error, prefix_error
from orion.model.errors import NotFound, Refused
from orion.model.times import rfc3339

routes = Routes()
TAR = "application/x-tar"


def _key(text: str) -> str:
    if key_error(text) is not None:
        raise ValueError(
            f"must be at most {MAX_KEY_BYTES} letters, digits, '.', '_' and '-' in parts with one '/' between them"
        )
    return text


def _prefix(text: str) -> str:
    if (wrong := prefix_error(text)) is not None:
        raise ValueError(wrong)
    return text


def _etag(text: str) -> int:
    version = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    try:
        return whole(version)
    except ValueError:
        raise ValueError('must be one version in quotes, as in "12"') from None


def _nothing(text: str) -> int:
    if text.strip() != "*":
        raise ValueError("must be *: change it only if it does not exist")
    return 0


_KEY = Kind(_key, **text(KEY_PATTERN, MAX_KEY_BYTES))
KEY = path("key", _KEY, "a config's key: app/database/url")
AFTER = query("after", _KEY, "", "begin past the config with this key")
PREFIX = query(
    "prefix", Kind(_prefix, **text(r"^[A-Za-z0-9._/-]*$", MAX_KEY_BYTES)), "", "only keys that begin with this"
)
VERSION = query("version", COUNT, None, "change it only if it is at this version; 0: only if it does not exist")
IF_MATCH = header(
    "If-Match",
    Kind(_etag, **text(r'^("[0-9]{1,18}"|[0-9]{1,18})$')),
    None,
    "as version, as an ETag",
    same_as=VERSION,
)
IF_NONE_MATCH = header(
    "If-None-Match", Kind(_nothing, type="string", enum=["*"]), None, "*: as version=0", same_as=VERSION
)
IDEMPOTENCY_KEY = header("Idempotency-Key", ONCE_KEY, "", "a retry with the same key is answered as the first try")
FOLDER = query("folder", FLAG, False, "the value is a tar, of a folder with all that is in it")
_CHANGE = (KEY, VERSION, IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY, TIMEOUT)


@routes.add(
    "GET", "/configs", "All configs, without values", params=(PREFIX, AFTER, *PAGE), answer=list[ConfigView]
)
async def listing(call: Call) -> ListResponse:
    find, prefix = call.service.configs.find, call[PREFIX]
    return await call.listing(lambda read, page: find(prefix, read, page), call[AFTER])


@routes.add(
    "GET",
    "/configs/{key}",
    "One config's value, of a folder as a tar; ETag is its version",
    params=(KEY, *READ),
    media=f"application/octet-stream, {TAR}",
)
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
    return Response(config.value, 200, headers, TAR if config.stat.folder else "application/octet-stream")


def _times(stat: ConfigStat) -> dict[str, str]:
    """With the value and its ETag, so that nobody has to look twice, at what may differ by then."""
    times = {"x-orion-created-at": stat.created_at_ms, "x-orion-changed-at": stat.changed_at_ms}
    return {name: rfc3339(at_ms) for name, at_ms in times.items() if at_ms}


@routes.add(
    "PUT",
    "/configs/{key}",
    "Set a config, at most 1 MiB",
    Scope.DEPLOY,
    params=(*_CHANGE, FOLDER),
    raw_body=True,
    answer=ConfigView,
)
async def put(call: Call) -> Response:
    compare = _compare(call)
    value = await call.raw_body(MAX_VALUE_BYTES)
    work = call.service.configs.put(
        call[KEY],
        value,
        if_version=compare,
        idempotency_key=call[IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
        folder=call[FOLDER],
    )
    return _changed(*await call.within(work))


@routes.add("DELETE", "/configs/{key}", "Delete a config", Scope.DEPLOY, params=_CHANGE, answer=ConfigView)
async def delete(call: Call) -> Response:
    work = call.service.configs.delete(
        call[KEY],
        if_version=_compare(call),
        idempotency_key=call[IDEMPOTENCY_KEY],
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
