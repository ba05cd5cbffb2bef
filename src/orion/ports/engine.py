"""A container engine."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from orion.model.allocation import Allocation
from orion.model.container import (
    Attachment,
    Container,
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
from orion.model.ingress import Listener
from orion.model.job import TaskSpec
from orion.model.pull import PullProgress
from orion.model.sessions import Output, Purpose
from orion.model.stats import ContainerStats

PullListener = Callable[[PullProgress], None]


class EngineSession(Protocol):
    """One session with a container. One runner may read while another writes. All raise EngineError."""

    async def read(self) -> Output | None:
        """The next piece of output; None at its end."""

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more. Raises once nothing more is taken."""

    async def end_input(self) -> None:
        """The other end sees the end of its input. Output goes on."""

    async def resize(self, columns: int, rows: int) -> None:
        """Does nothing where there is no terminal."""

    async def exit_code(self) -> int:
        """After the end of the output: the program's, 0 where there is none."""


class Engine(Protocol):
    """A container engine. Every call raises EngineDown when there is no engine to be reached, EngineError with the
    engine's words when it refuses. An answer that does not come in time is EngineDown of `info`, `containers` and
    `changes`, which concern the whole engine, and EngineError of all others: work on one container may hang while
    all else goes on. Removing or stopping what is gone is no error.
    """

    async def info(self) -> EngineInfo: ...

    async def has_image(self, image: str, platform: str = "") -> bool:
        """`platform`: linux/amd64 and the like, where another one's image of that name is none."""

    async def pull(self, image: str, progress: PullListener, platform: str = "") -> None: ...

    async def digest(self, image: str, *, local: bool) -> str:
        """Returns the digest that the image's registry has for its name now, "" for an image of which no registry
        has said one. `local`: one that this engine has, and that never was in a registry, is not asked for.
        """

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
        """`name` is the `container_name` of the labels: by both it is known again, labels alone may be copied."""

    async def connect(self, container: str, attach: Attachment) -> None:
        """Has a container that was made, and has not run yet, be on the further networks, if it is not."""

    async def ensure_network(self, network: EngineNetwork) -> None:
        """Makes it where it is missing, and anew where it is another by now. Refused where it is somebody else's,
        or containers are on what it was.
        """

    async def remove_network(self, network: str, cluster: int) -> None:
        """Refused while containers are on it. One of another cluster is left alone."""

    async def put_files(self, container: str, files: Sequence[File]) -> None:
        """Into a container that does not run, missing folders and all. What is there is replaced, unless it is a
        folder, which is refused.
        """

    async def start(self, container: str) -> None: ...

    async def exec(self, container: str, command: Sequence[str], timeout_ms: int) -> ExecResult:
        """Runs a command in a container that runs, to its end. One that takes longer than `timeout_ms` is killed
        where that is possible, and its result has no exit code.
        """

    async def stop(self, container: str, grace_ms: int) -> None: ...

    async def remove(self, container: str) -> None:
        """Kills it first if it runs."""

    async def containers(self, cluster: int) -> list[Container]:
        """All of this cluster's on this engine, whichever node's. One that the engine can't look into is shown as
        it was; if its state is another by now, with that, and an `exit_code` of None when it has exited.
        """

    async def of_others(self, cluster: int) -> list[Container]:
        """Those of other clusters that run on this engine, as they are listed: without their times."""

    async def published_by_others(self, cluster: int) -> list[Listener]:
        """Host ports that running containers have which are not this cluster's, whoever made them: a container is
        the `program`, by its name.
        """

    async def inspect(self, container: str) -> Container | None:
        """As in `containers`; None when it is gone."""

    def changes(self, cluster: int) -> AsyncIterator[str]:
        """The id of each of this cluster's containers that started, died, was paused, was removed or
        is of another health; ends (raises
        EngineDown) when the engine goes away. Before them, once, "": it listens, so that a look from then on
        misses nothing, and knows the causes of ends before as well as they can still be known.
        """

    def logs(self, container: str, query: LogQuery) -> AsyncGenerator[list[LogEntry], None]:
        """The output, as many entries at a time as are there. Following ends when the container does."""

    def session(self, container: str, purpose: Purpose) -> AbstractAsyncContextManager[EngineSession]:
        """A session with a running container (files of one that has ended are there too), until the block is left.
        A program that runs then goes on without input or output. A command that the container has not got ends
        with exit code 126 or 127, and words of the engine as output.
        """

    def stats(self, container: str, *, follow: bool) -> AsyncGenerator[ContainerStats, None]:
        """Its use, once, or every second or so until it ends. What has ended uses nothing."""

    async def close(self) -> None: ...
