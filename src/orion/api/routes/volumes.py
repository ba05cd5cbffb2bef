"""/volumes: data that outlives the tasks that use it."""

import asyncio
from collections.abc import AsyncIterator

from orion.api.endpoint import Routes, Scope
from orion.api.http.asgi import Receive, Response
from orion.api.http.problems import json
from orion.api.http.request import Call
from orion.api.http.stream import Stream
from orion.api.params import FLAG, NODE_NAME, ONCE_KEY, STALE, TIMEOUT, Kind, header, path, query, text
from orion.model.api.volumes import PrunedView, VolumeLabels, VolumeTarget, VolumeView
from orion.model.errors import Refused, Unavailable
from orion.model.ids import NodeId
from orion.model.volumes import VOLUME_PATTERN, is_volume_name
from orion.node.rpc.reads import Read

routes = Routes()

MOST = 500
TAR = "application/x-tar"
PATIENCE_S = 60.0  # until the first of it is there
BODY_SILENCE_S = 60.0


def volume_name(given: str) -> str:
    if not is_volume_name(given):
        raise ValueError("must be a volume's name: letters, digits, '.', '_' and '-'")
    return given


def _most(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= MOST):
        raise ValueError(f"must be a number from 1 to {MOST}")
    return int(given)


NAME = path("name", Kind(volume_name, **text(VOLUME_PATTERN)), "the volume")
AFTER = query("after", Kind(volume_name, **text(VOLUME_PATTERN)), "", "only those past this name")
LIMIT = query("limit", Kind(_most, type="integer", minimum=1, maximum=MOST), MOST, "at most so many")
SIZES = query("sizes", FLAG, False, "with the disk that each takes and why it is not as it should be, as nodes say")
FORCE = query("force", FLAG, False, "though its node does not answer, or its plugin does not: its data stays there")
LIVE = query("live", FLAG, False, "though tasks use it: what they write meanwhile is there or not")
NODE = query("node", NODE_NAME, "", "the node that is to have it, in the place of its own")
IDEMPOTENCY_KEY = header("Idempotency-Key", ONCE_KEY, "", "a retry with the same key is answered as the first try")


@routes.add(
    "GET", "/volumes", "Volumes, by name", params=(AFTER, LIMIT, SIZES, STALE, TIMEOUT), answer=list[VolumeView]
)
async def listing(call: Call) -> Response:
    found = call.service.volumes.find(call[AFTER], call[LIMIT], _read(call), sizes=call[SIZES])
    return json(await call.within(found))


@routes.add(
    "GET",
    "/volumes/{name}",
    "A volume: where it is, who uses it, the disk that it takes, how far its move is",
    params=(NAME, STALE, TIMEOUT),
    answer=VolumeView,
)
async def get(call: Call) -> Response:
    return json(await call.within(call.service.volumes.get(call[NAME], _read(call))))


@routes.add(
    "PUT",
    "/volumes/{name}",
    "Make a volume, which gets its node with its first task",
    Scope.DEPLOY,
    params=(NAME, IDEMPOTENCY_KEY, TIMEOUT),
    body=VolumeLabels,
    answer=VolumeView,
)
async def put(call: Call) -> Response:
    asked = await call.body(VolumeLabels, '{"labels": {"tier": "gold"}}')
    work = call.service.volumes.create(
        call[NAME], asked.labels, idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s
    )
    return json(await call.within(work))


@routes.add(
    "DELETE",
    "/volumes/{name}",
    "Remove a volume that no job asks for, and its data",
    Scope.DEPLOY,
    params=(NAME, FORCE, IDEMPOTENCY_KEY, TIMEOUT),
    answer=PrunedView,
)
async def remove(call: Call) -> Response:
    work = call.service.volumes.remove(
        call[NAME], force=call[FORCE], idempotency_key=call[IDEMPOTENCY_KEY], timeout_s=call.timeout_s
    )
    why = await call.within(work)
    return json(PrunedView([call[NAME]], {call[NAME]: why} if why else {}))


@routes.add(
    "DELETE",
    "/volumes",
    "Remove all volumes that no job asks for, and their data",
    Scope.DEPLOY,
    params=(TIMEOUT,),
    answer=PrunedView,
)
async def prune(call: Call) -> Response:
    return json(await call.within(call.service.volumes.prune(timeout_s=call.timeout_s)))


@routes.add(
    "GET",
    "/volumes/{name}/data",
    "All that is in a volume, as a tar with a digest at its end",
    Scope.ADMIN,
    params=(NAME, LIVE),
    media=TAR,
    goes_on=True,
)
async def data(call: Call) -> Stream:
    return Stream(call.limits, call.service.volumes.backup(call[NAME], live=call[LIVE]), TAR, patience_s=PATIENCE_S)


@routes.add(
    "PUT",
    "/volumes/{name}/data",
    "Have a volume hold what such a tar does, and nothing else; one that is not there is made",
    Scope.ADMIN,
    params=(NAME, NODE, TIMEOUT),
    raw_body=TAR,
    status=204,
)
async def put_data(call: Call) -> Response:
    async with call.limits.limit(None, waits=True):
        await call.service.volumes.restore(
            call[NAME], NodeId(call[NODE]), _pieces(call.receive), timeout_s=call.timeout_s
        )
    return Response(status=204)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(BODY_SILENCE_S):
                message = await receive()
        except TimeoutError:
            raise Unavailable(f"nothing of the volume came for {BODY_SILENCE_S:g} s") from None
        if message["type"] == "http.disconnect":
            raise Refused("the connection was closed before all of the volume had come")
        if piece := message.get("body", b""):
            yield piece
        if not message.get("more_body", False):
            return


@routes.add(
    "POST",
    "/volumes/{name}/move",
    "Have a volume go to another node: its tasks end, its data is copied and checked, they start there",
    Scope.DEPLOY,
    params=(NAME, IDEMPOTENCY_KEY, TIMEOUT),
    body=VolumeTarget,
    answer=VolumeView,
)
async def move(call: Call) -> Response:
    asked = await call.body(VolumeTarget, '{"to": "node3"}')
    work = call.service.volumes.move(
        call[NAME],
        NodeId(asked.to),
        cancel=asked.cancel,
        idempotency_key=call[IDEMPOTENCY_KEY],
        timeout_s=call.timeout_s,
    )
    return json(await call.within(work))


def _read(call: Call) -> Read:
    return Read(stale=call[STALE], timeout_s=call.timeout_s)
