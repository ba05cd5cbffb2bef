"""Values of a container engine: its containers, their output, and requests about them."""

import enum

import msgspec

from orion.model.folders import EntryKind
from orion.model.health import CheckResult, Health
from orion.model.ids import NodeId
from orion.model.resources import Resources


class EngineInfo(msgspec.Struct, frozen=True):
    """An engine. `id` is its own, which the engine of a cloned machine has too. `run` tells running engines apart:
    it is another one on each clone and after each restart; "" when that can't be told.
    """

    id: str
    version: str
    resources: Resources  # all that the machine has
    run: str = ""
    runtimes: tuple[str, ...] = ()  # that make containers, sorted


class Labels(msgspec.Struct, frozen=True):
    """The owner of a container, from its labels dev.orion.cluster, .node, .job, .task and .allocation."""

    cluster: int
    node: NodeId
    job: str
    index: int
    allocation: int


class EndCause(enum.Enum):
    """The cause of a container's end, which its exit code does not tell."""

    ITSELF = "itself"  # its program ended, or the kernel ended it
    TOLD = "told"  # the engine, or a person through it, told it to end
    UNKNOWN = "unknown"  # nobody watched, and the engine does not remember


class ContainerState(enum.StrEnum):
    """A container's state. The engine's other states are shown as one of these."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class SharedNamespaces(msgspec.Struct, frozen=True):
    """Containers whose network and whose processes another one shares, by the engine's id; "": its own."""

    network: str = ""
    pid: str = ""


class Attachment(msgspec.Struct, frozen=True):
    """A container's place on a network of its engine: the network's name, the container's address there, and who
    knows the names there: `dns`, below `search`, unless its spec names others. `others`: further networks that it
    is on before it starts, each with its address there.
    """

    network: str
    address: str
    dns: str = ""
    search: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """All networks, each with the address there."""
        return ((self.network, self.address), *self.others)


class Mount(msgspec.Struct, frozen=True):
    """The path `source` of the machine, which must be there, as `target` in a container. `copies`: it is empty, and
    gets what the image has at `target`, with owners and modes. `shared`: mounts made below it, here or there, are
    seen by both (rshared). `device`: it is a block device, which the container may use as one.
    """

    target: str
    source: str
    read_only: bool = False
    copies: bool = False
    shared: bool = False
    device: bool = False


class EngineNetwork(msgspec.Struct, frozen=True):
    """A network of one engine that a node makes for its containers: a bridge of that name and MTU, with the first
    address of `subnet` past its own on it (`gateway`). `uplink`: the device by which other nodes reach it.
    """

    name: str
    cluster: int
    node: NodeId
    subnet: str
    gateway: str
    bridge: str
    mtu: int
    uplink: str


class Container(msgspec.Struct, frozen=True):
    """One container with Orion's labels. Times are in Unix milliseconds, 0 when not yet."""

    id: str
    labels: Labels
    state: ContainerState
    host_ports: tuple[int, ...] = ()
    exit_code: int | None = None
    error: str = ""  # the engine's own words on why it ended or did not start
    oom_killed: bool = False
    started_at_ms: int = 0
    finished_at_ms: int = 0
    address: str = ""  # of the container whose network it has, if that is another one's
    cause: EndCause = EndCause.ITSELF  # once it has ended
    paused: bool = False  # it runs, and its processes are frozen until somebody unpauses it
    health: Health = Health.NONE  # by the engine's own HEALTHCHECK
    health_output: str = ""  # of its last one
    health_log: tuple[CheckResult, ...] = ()  # the last of them, oldest first
    shares: SharedNamespaces = SharedNamespaces()
    pid: int = 0  # of its first process, as the engine's machine numbers them, while it runs


class ExecResult(msgspec.Struct, frozen=True):
    """A command that was run in a container. `exit_code` is None when it took too long. `output` is the end of what
    it wrote to stdout and stderr.
    """

    exit_code: int | None
    output: str = ""

    def words(self, program: str, timeout_ms: int) -> str:
        """As in 'pg_isready: exit code 2: no response'; of a success what it wrote."""
        if self.exit_code == 0:
            return self.output
        ended = f"exit code {self.exit_code}"
        if self.exit_code is None:
            ended = f"not over within {timeout_ms / 1000:g} s"
        return f"{program}: {ended}: {self.output}" if self.output.strip() else f"{program}: {ended}"


class File(msgspec.Struct, frozen=True):
    """A file, a folder or a symbolic link for a container, its permissions, and the numbers of its owner and group.
    `modified_s`: Unix time.
    """

    path: str
    content: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    modified_s: int = 0
    kind: EntryKind = EntryKind.FILE
    target: str = ""


class LogQuery(msgspec.Struct, frozen=True, array_like=True):
    follow: bool = False
    tail: int | None = None  # lines
    since_ns: int = 0  # Unix time; the output of that very moment is meant too
    stdout: bool = True
    stderr: bool = True


class LogEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One piece of output as the engine keeps it: a line with its end, or a part of a long one.

    `at` is RFC 3339 in UTC with nine digits after the point, so that such texts compare as their times do. The
    parts of one line have the same. Those of one of the two streams never go back, unless the engine's clock did.
    """

    at: str
    stderr: bool
    text: bytes
