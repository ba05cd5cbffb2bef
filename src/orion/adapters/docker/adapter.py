"""`Docker`: the `Engine` port's calls, one by one."""

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from orion.adapters.docker import decode, errors, on_demand
from orion.adapters.docker.archive import archive
from orion.adapters.docker.auth import registry_auth
from orion.adapters.docker.connection import CALL_S, WORK_S, Api, Connection, unless_gone
from orion.adapters.docker.errors import NameTaken
from orion.adapters.docker.exec import run_command
from orion.adapters.docker.http import Refused
from orion.adapters.docker.inspect_cache import InspectCache
from orion.adapters.docker.logs import log_entries, log_params
from orion.adapters.docker.networks import connect, ensure_network, remove_network
from orion.adapters.docker.published import published_ports
from orion.adapters.docker.pull import LayerProgress
from orion.adapters.docker.registry import REGISTRY_S, registry_digest
from orion.adapters.docker.spec import (
    PIDS_LIMIT,
    PREFIX,
    cluster_text,
    container_config,
    grace_seconds,
    image_name,
)
from orion.adapters.docker.stats import stats_from
from orion.adapters.docker.stop_detection import RING, Event, StopDetection, event_from
from orion.adapters.docker.streams import json_lines, pieces
from orion.model.allocation import Allocation
from orion.model.container import (
    Attachment,
    Container,
    ContainerState,
    EndCause,
    EngineInfo,
    EngineNetwork,
    ExecResult,
    File,
    Labels,
    LogEntry,
    LogQuery,
    Mount,
    SharedNamespaces,
)
from orion.model.errors import EngineDown, EngineError
from orion.model.images import image_text
from orion.model.ingress import Listener
from orion.model.job import TaskSpec
from orion.model.sessions import Purpose
from orion.model.stats import ContainerStats
from orion.ports.engine import EngineSession, PullListener

log = logging.getLogger(__name__)

T = TypeVar("T")

PULL_SILENCE_S = 60.0
PROGRESS_EVERY_S = 1.0  # each text travels through the log
PARALLEL_INSPECTS = 8
AGAIN_S = 2.0  # for a look into a container that failed the last time: the others wait for it


class Docker:
    """`docker_host` as in DOCKER_HOST: unix:///path, or tcp://host:port (with DOCKER_TLS_VERIFY as usual).
    `pids_limit`: the processes and threads that one container may have, 0 for no limit.
    """

    def __init__(
        self,
        docker_host: str,
        *,
        pids_limit: int = PIDS_LIMIT,
        call_s: float = CALL_S,
        work_s: float = WORK_S,
        pull_silence_s: float = PULL_SILENCE_S,
        progress_every_s: float = PROGRESS_EVERY_S,
        registry_s: float = REGISTRY_S,
    ) -> None:
        self._connection = Connection(docker_host, call_s=call_s)
        self._pids_limit = pids_limit
        self._work_s = work_s
        self._pull_silence_s = pull_silence_s
        self._progress_every_s = progress_every_s
        self._registry_s = registry_s
        self._stop_detection = StopDetection()
        self._remembering = asyncio.Lock()
        self._inspect_cache = InspectCache()
        self._local = docker_host.startswith("unix://")

    async def close(self) -> None:
        await self._connection.close()

    async def info(self) -> EngineInfo:
        async with self._connection.calling(self._connection.engine_late) as api:
            version = await self._connection.negotiate(api)
            shown = await api.ask("GET", "info")
            bridge = await unless_gone(api.ask("GET", f"networks/{decode.BRIDGE}"))
        disk = 0
        try:
            if self._local:
                disk = await asyncio.to_thread(decode.file_system_bytes, shown.get("DockerRootDir") or "")
            run = bridge["Id"] if bridge is not None else await _boot(local=self._local)
            return decode.engine_info(shown, version, disk_bytes=disk, run=run)
        except (AttributeError, KeyError, TypeError) as error:
            raise self._connection.no_engine() from error

    # --- images -------------------------------------------------------------------------------------------

    async def has_image(self, image: str, platform: str = "") -> bool:
        name = image_name(image)
        async with self._connection.calling(errors.late(f"say whether it has {name}")) as api:
            shown = await unless_gone(api.ask("GET", f"images/{name}/json"))
            return shown is not None and (not platform or decode.is_of_platform(shown, platform))

    async def pull(self, image: str, progress: PullListener, platform: str = "") -> None:
        """Cancelling it makes Docker drop the download. Raises EngineError after a minute of silence."""
        name = image_name(image)
        auth = await registry_auth(name)
        shown = image_text(name)
        late = functools.partial(errors.pull_silence, shown)
        async with self._connection.streaming(
            "POST",
            "images/create",
            {"fromImage": name, **({"platform": platform} if platform else {})},
            {"X-Registry-Auth": auth} if auth else None,
            deadline_s=self._pull_silence_s,
            refused=functools.partial(errors.pull_refusal, shown),
            late=late,
        ) as answer:
            so_far, told, told_at = LayerProgress(), None, -self._progress_every_s
            async for line in json_lines(pieces(answer, self._pull_silence_s, late)):
                if "error" in line:
                    raise errors.pull_refusal(shown, 0, line["error"])
                so_far.add(line)
                now = time.monotonic()
                if so_far.summed != told and now - told_at >= self._progress_every_s:
                    told, told_at = so_far.summed, now
                    progress(told)

    async def digest(self, image: str, *, local: bool) -> str:
        return await registry_digest(self._connection, image, local=local, deadline_s=self._registry_s)

    # --- containers ---------------------------------------------------------------------------------------

    async def create(
        self,
        allocation: Allocation,
        spec: TaskSpec,
        labels: Labels,
        *,
        name: str,
        share: SharedNamespaces = SharedNamespaces(),  # noqa: B008 -- frozen
        attach: Attachment | None = None,
        mounts: Sequence[Mount] = (),
    ) -> str:
        """A container of that name which is this very allocation's is taken as the one created: the answer to an
        earlier call was lost.
        """
        config = container_config(allocation, spec, labels, self._pids_limit, share, attach, mounts)
        params = {"name": name}
        if spec.options is not None and spec.options.platform:
            params["platform"] = spec.options.platform
        try:
            async with self._connection.calling(errors.late("make the container"), self._work_s) as api:
                created = await api.ask("POST", "containers/create", params, body=config)
                container = str(created["Id"])
        except NameTaken:
            found = await self._look(name)
            if found is None or found.labels != labels:
                raise
            container = found.id
        if attach is not None and attach.others:
            await self.connect(container, attach)
        return container

    async def connect(self, container: str, attach: Attachment) -> None:
        await connect(self._connection, container, attach, self._work_s)

    async def ensure_network(self, network: EngineNetwork) -> None:
        await ensure_network(self._connection, network, self._work_s)

    async def remove_network(self, network: str, cluster: int) -> None:
        await remove_network(self._connection, network, cluster, self._work_s)

    async def put_files(self, container: str, files: Sequence[File]) -> None:
        # Docker removes a folder that is in a file's way, all that is in it too, unless told not to.
        params = {"path": "/", "noOverwriteDirNonDir": "true"}
        path, tar = f"containers/{container}/archive", archive(files)
        async with self._connection.calling(errors.late("take the container's files"), self._work_s) as api:
            await api.ask("PUT", path, params, body=tar, content_type="application/x-tar")

    async def start(self, container: str) -> None:
        self._inspect_cache.started(container)  # whatever the answer: one that is late may start it all the same
        async with self._connection.calling(errors.late("start the container"), self._work_s) as api:
            await api.ask("POST", f"containers/{container}/start")
        if self._local:
            await self._answer_for(container)

    async def _answer_for(self, container: str) -> None:
        """It runs, whatever comes of this."""
        try:
            async with self._connection.calling(errors.late("show the container")) as api:
                shown = await api.ask("GET", f"containers/{container}/json")
            for address, mac in decode.addresses(shown.get("NetworkSettings") or {}):
                await asyncio.to_thread(on_demand.answer_arp, address, mac)
        except (EngineError, OSError, AttributeError, LookupError, TypeError, ValueError) as error:
            log.debug("who asked for %s in vain may wait for a second: %s", container[:12], error)

    async def exec(self, container: str, command: Sequence[str], timeout_ms: int) -> ExecResult:
        return await run_command(self._connection, container, command, timeout_ms, local=self._local)

    async def stop(self, container: str, grace_ms: int) -> None:
        grace_s = grace_seconds(grace_ms)
        async with self._connection.calling(errors.late("stop the container"), grace_s + self._work_s) as api:
            await unless_gone(api.ask("POST", f"containers/{container}/stop", {"t": str(grace_s)}))

    async def remove(self, container: str) -> None:
        """With its anonymous volumes, as `docker rm --volumes`. Returns once its name and ports are free."""
        async with self._connection.calling(errors.late("remove the container"), self._work_s) as api:
            await unless_gone(_remove(api, container))

    async def containers(self, cluster: int) -> list[Container]:
        signalled = self._stop_detection.known()
        listed = await self._listed(label=f"{PREFIX}cluster={cluster_text(cluster)}")
        known = frozenset(entry["Id"] for entry in listed)
        self._stop_detection.forget(signalled - known)
        self._inspect_cache.forget_all_but(known, cluster)
        # The list says neither when they started nor how they ended.
        room = asyncio.Semaphore(PARALLEL_INSPECTS)

        async def look(entry: dict[str, Any]) -> Container | None:
            async with room:
                try:
                    return await self._addressed(await self._look(entry["Id"]))
                except EngineDown:
                    raise
                except EngineError as error:
                    return self._inspect_cache.instead(entry, error)

        try:
            async with asyncio.TaskGroup() as runners:
                looks = [runners.create_task(look(entry)) for entry in listed]
        except ExceptionGroup as group:
            raise group.exceptions[0] from group  # they fail alike
        return [found for runner in looks if (found := runner.result()) is not None]

    async def of_others(self, cluster: int) -> list[Container]:
        found = filter(None, map(decode.listed, await self._listed(label=f"{PREFIX}cluster")))
        return [c for c in found if c.state is ContainerState.RUNNING and c.labels.cluster != cluster]

    async def published_by_others(self, cluster: int) -> list[Listener]:
        return published_ports(await self._listed(status="running"), cluster)

    async def inspect(self, container: str) -> Container | None:
        try:
            return await self._addressed(await self._look(container))
        except EngineDown:
            raise
        except EngineError as error:
            listed = await self._listed(id=container)
            return self._inspect_cache.instead(listed[0], error) if listed else None

    async def _addressed(self, found: Container | None) -> Container | None:
        """With the address of the container whose network it has."""
        if found is None or not found.shares.network or found.state is not ContainerState.RUNNING:
            return found
        try:
            other = await self._look(found.shares.network)
        except EngineDown:
            raise
        except EngineError as error:
            log.debug("the address of %s is not known: %s", found.id[:12], error.detail)
            return found
        return replace(found, address=other.address) if other is not None else found

    async def _listed(self, **chosen: str) -> list[dict[str, Any]]:
        async with self._connection.calling(self._connection.engine_late) as api:
            filters = msgspec.json.encode({key: [value] for key, value in chosen.items()}).decode()
            listed = await api.ask("GET", "containers/json", {"all": "1", "filters": filters})
            return [dict(entry) for entry in listed]

    async def _look(self, container: str) -> Container | None:
        deadline_s = min(AGAIN_S, self._connection.call_s) if self._inspect_cache.failing(container) else None
        async with self._connection.calling(errors.late("show the container"), deadline_s) as api:
            shown = await unless_gone(api.ask("GET", f"containers/{container}/json"))
        if shown is None:
            return None
        found = self._inspect_cache.saw(shown, self._stop_detection)
        if found is None or found.state is not ContainerState.EXITED or found.cause is not EndCause.UNKNOWN:
            return found
        async with self._remembering:
            if self._stop_detection.may_learn(shown):
                await self._ask_what_docker_remembers()
                self._stop_detection.asked_about(shown)
        return self._inspect_cache.saw(shown, self._stop_detection)

    async def _ask_what_docker_remembers(self) -> int:
        """Returns the engine's time up to which it was asked, in Unix nanoseconds."""
        async with self._connection.calling(self._connection.engine_late) as api:
            shown = await api.ask("GET", "info")
            now_ns = decode.unix_ns(shown["SystemTime"])
        params = {"since": "0", "until": _seconds(now_ns)}
        late = self._connection.engine_late
        events: deque[Event] = deque(maxlen=RING)
        async with self._connection.streaming("GET", "events", params, late=late) as answer:
            async for told in json_lines(pieces(answer, self._connection.call_s)):
                if (event := _understood(told)) is not None:
                    events.append(event)
        self._stop_detection.remembered(events, now_ns)
        for event in events:
            if event.ours and event.action == "start":
                self._inspect_cache.started(event.subject, event.time_ns // 1_000_000)
        return now_ns

    # --- streams ------------------------------------------------------------------------------------------

    async def changes(self, cluster: int) -> AsyncGenerator[str, None]:
        """Silence says nothing of the engine's health: who listens looks at `containers` now and then."""
        async with self._remembering:
            since_ns = await self._ask_what_docker_remembers()
        chosen = {
            "type": ["container"],
            "event": ["start", "kill", "die", "destroy", "pause", "unpause", "health_status"],
            "label": [f"{PREFIX}cluster={cluster_text(cluster)}"],
        }
        params = {"filters": msgspec.json.encode(chosen).decode(), "since": _seconds(since_ns)}
        late = self._connection.engine_late
        async with self._connection.streaming("GET", "events", params, late=late) as answer:
            yield ""
            async for told in json_lines(pieces(answer, None)):
                event = _understood(told)
                if event is None:
                    continue
                self._stop_detection.heard(event)
                if event.action == "start":
                    self._inspect_cache.started(event.subject)
                if event.action != "kill":  # what comes of one is an event of its own
                    yield event.subject
        raise EngineDown(f"the Docker Engine at {self._connection.docker_host} closed its stream of events")

    async def logs(self, container: str, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        silence_s = None if query.follow else self._connection.call_s
        path = f"containers/{container}/logs"
        late = errors.late("give the container's logs")
        params, refused = log_params(query), errors.logs_refusal
        async with self._connection.streaming("GET", path, params, late=late, refused=refused) as answer:
            async for entries in log_entries(pieces(answer, silence_s)):
                yield entries

    def session(self, container: str, purpose: Purpose) -> AbstractAsyncContextManager[EngineSession]:
        return on_demand.session(self._connection, container, purpose, local=self._local)

    async def stats(self, container: str, *, follow: bool) -> AsyncGenerator[ContainerStats, None]:
        """The engine reads twice, a second or two apart: the use of a core is the difference."""
        path, late = f"containers/{container}/stats", errors.late("say what the container uses")
        async with self._connection.streaming("GET", path, {"stream": str(int(follow))}, late=late) as answer:
            async for shown in json_lines(pieces(answer, self._connection.call_s)):
                if (found := stats_from(shown)) is None:
                    return
                yield found


async def _boot(*, local: bool) -> str:
    """An engine without a bridge is told apart by its machine's boot, where it is this machine."""
    return await asyncio.to_thread(decode.boot_id) if local else ""


def _understood(told: dict[str, Any]) -> Event | None:
    try:
        return event_from(told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("an event of the Docker Engine is not understood (%r): %.200r", error, told)
        return None


def _seconds(unix_ns: int) -> str:
    """A time as Docker's parameters have it, exact to the nanosecond."""
    return f"{unix_ns // 1_000_000_000}.{unix_ns % 1_000_000_000:09d}"


async def _remove(api: Api, container: str) -> None:
    try:
        await api.ask("DELETE", f"containers/{container}", {"force": "1", "v": "1"})
    except Refused as error:
        if error.status != 409 or "already in progress" not in error.message:
            raise
        await api.ask("POST", f"containers/{container}/wait", {"condition": "removed"})
