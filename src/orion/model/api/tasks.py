"""A task in JSON. What it is to be is declared once, in TaskFields: asked for and shown alike."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from orion.model.after import MAX_AFTER
from orion.model.api.after_fields import AfterRequest, read_after, show_after
from orion.model.api.config_refs import ONE_USE, VARIABLE, ConfigRefRequest, read_configs, show_configs
from orion.model.api.container.network import ContainerFields
from orion.model.api.fields import Option, always, field, none_or, schema, shown_always, whole_up_to
from orion.model.api.health_fields import HealthFields
from orion.model.api.hostname import HOSTNAME, MAX_TEXT, read_hostname
from orion.model.api.ingress_fields import IngressRequest, read_ingress, show_ingress
from orion.model.api.network_fields import NETWORK_PATTERN, AllowFrom, NetworkAliases, read_networks
from orion.model.api.placement_fields import (
    Asked,
    PlacementRequest,
    read_placement,
    show_placement,
)
from orion.model.api.ports import PORT_KEY, HostPort, read_ports, show_ports
from orion.model.api.reasons import PlacementFailureView, ProgressView
from orion.model.api.rules import (
    IMAGE,
    MAX_IMAGE,
    RESTART,
    read_bytes,
    read_command,
    read_cpu,
    read_env,
    read_grace,
    read_image,
    read_memory,
    read_restart,
    read_selectors,
    show_cpu,
    show_grace,
    show_restart,
)
from orion.model.api.volume_fields import StopAfter, Volumes
from orion.model.api.words import FIRST_WORD, Word
from orion.model.health import Health
from orion.model.ids import JOB_NAME
from orion.model.job import Placement
from orion.model.labels import LABEL_KEY, LABEL_VALUE
from orion.model.limits import (
    MAX_BYTES,
    MAX_CPU,
    MAX_GRACE_S,
    MAX_MOUNTS,
    MAX_PORTS,
    MAX_SELECTORS,
    MAX_VARIABLES,
    MAX_WORDS,
    MIN_CPU,
    MIN_MEMORY_BYTES,
)
from orion.model.network import MAX_OF_JOB
from orion.model.placement_rules import MAX_PRIORITY

_LabelValue = Annotated[str, schema(pattern=f"^{LABEL_VALUE}$")]

# Docker looks a name up in the image, when it starts the container; a number needs no entry there.
MAX_USER = 128
MAX_USER_ID = 2**31 - 1
_USER = rf"({whole_up_to(MAX_USER_ID)}|(?![0-9]+(:|$))[A-Za-z0-9_.][A-Za-z0-9_.-]*\$?)"
USER = rf"^({_USER}(:{_USER})?)?$"


class TaskFields(HealthFields, msgspec.Struct, frozen=True, rename="camel"):
    """How a task is to be run.

    A field here is one of the body of `POST /tasks`, of every task that is shown, of /openapi.json and, with an
    `Option`, of `orion run`. model/api/codec.py takes it into the TaskSpec and back.
    """

    image: Annotated[
        str,
        field(
            "The container's image, as Docker names it.",
            note="A job has the digest behind it that its tag stood for when it was asked for.",
            read=read_image,
            pattern=IMAGE,
            maxLength=MAX_IMAGE,
        ),
    ]
    name: Annotated[
        str,
        field(
            "The task's name.",
            note="Empty: made from the image's.",
            spec=None,
            pattern=rf"^({JOB_NAME.pattern})?$",
            option=Option(("--name",), default="made from the image's"),
        ),
    ] = ""
    command: Annotated[
        list[Word],
        field(
            "The program and its arguments.",
            note="Empty: the image's own.",
            read=read_command,
            show=list,
            max_length=MAX_WORDS,
            **FIRST_WORD,
        ),
    ] = []
    env: Annotated[
        dict[str, Word],
        field(
            "Variables of the program's environment.",
            read=read_env,
            show=dict,
            max_length=MAX_VARIABLES,
            propertyNames={"pattern": f"^{VARIABLE}$"},
            option=Option(
                ("-e", "--env"), "NAME=VALUE", "variable", also="NAME alone takes the value that it has here."
            ),
        ),
    ] = {}
    memory: Annotated[
        int,
        field(
            "Memory to reserve, and the most that it may use.",
            note="Bytes; 0: no limit.",
            spec="resources.memory_bytes",
            read=read_memory,
            anyOf=none_or(MIN_MEMORY_BYTES, MAX_BYTES),
            option=Option(("-m", "--memory"), kind="size", also="As in 512m."),
        ),
    ] = 0
    cpu: Annotated[
        float,
        field(
            "Cores to reserve, as in 0.25.",
            spec="resources.cpu_millis",
            read=read_cpu,
            show=show_cpu,
            anyOf=none_or(MIN_CPU, MAX_CPU),
            option=Option(("--cpu", "--cpus"), "CORES"),
        ),
    ] = 0.0
    disk: Annotated[
        int,
        field(
            "Disk to reserve.",
            note="Bytes.",
            spec="resources.disk_bytes",
            read=read_bytes,
            minimum=0,
            maximum=MAX_BYTES,
            option=Option(("--disk",), kind="size", also="As in 10GB."),
        ),
    ] = 0
    node_selectors: Annotated[
        dict[str, _LabelValue],
        field(
            "Labels that its node must have.",
            spec="constraints",
            read=read_selectors,
            show=dict,
            max_length=MAX_SELECTORS,
            propertyNames={"pattern": f"^{LABEL_KEY}$"},
            option=Option(
                ("--constraint",),
                "RULE",
                "label",
                also="As in disk=ssd, zone!=a, 'zone in (a, b)', 'gpu exists', 'rack~^r[0-9]+$', 'kernel>=6.1'.",
            ),
        ),
    ] = {}
    port_bindings: Annotated[
        Mapping[str, HostPort],
        field(
            "Ports to make reachable.",
            note='Of "80/tcp" the host port, as text or a number; "" or "0" asks for a free one, and '
            '"127.0.0.1:8080" opens it on that address of its node only.',
            spec="ports",
            read=read_ports,
            show=show_ports,
            max_length=MAX_PORTS,
            propertyNames={"pattern": PORT_KEY},
            option=Option(
                ("-p", "--publish"),
                "[[ADDRESS:]HOST:]PORT[/udp]",
                "port",
                also="8080:80, 80 for a free host port, 127.0.0.1:8080:80 on that address of its node only.",
            ),
        ),
    ] = {}
    restart_policy: Annotated[
        str,
        field(
            "Whether it is run again once it has ended: no, always, on-failure (as often as it fails) or "
            "on-failure:N (at most N times).",
            spec="restart",
            read=read_restart,
            show=show_restart,
            pattern=RESTART,
            option=Option(("--restart",), "POLICY", also="A job that is to run once, such as a migration: no."),
        ),
    ] = "on-failure"
    stop_grace_seconds: Annotated[
        float,
        field(
            "Time to end by itself when it is stopped.",
            note="Seconds.",
            spec="stop_grace_ms",
            read=read_grace,
            show=show_grace,
            minimum=0,
            maximum=MAX_GRACE_S,
            option=Option(("--stop-grace",), "SECONDS", "seconds"),
        ),
    ] = 10.0
    configs: Annotated[
        list[Annotated[ConfigRefRequest, ONE_USE]],
        field(
            "Configs that it gets, each as a variable, or as a file with a mode (0644) and an owner (0:0). What is "
            "put under a key later reaches only containers made after that.",
            note="Of a job it reaches only its next version.",
            read=read_configs,
            show=show_configs,
            max_length=MAX_MOUNTS,
            option=Option(("-c", "--config"), "KEY=NAME|/PATH[:MODE[:UID:GID]]", "config"),
        ),
    ] = []
    placement: Annotated[
        Asked,
        field(
            "Of the nodes that fit the least loaded (spread), or the fullest (pack).",
            note="As an object with rules for its node, too.",
            beside="rules",
            read=read_placement,
            show=show_placement,
            option=Option(
                ("--placement",),
                kind="choice",
                choices=tuple(each.value for each in Placement),
                default="the cluster's setting, spread",
            ),
        ),
    ] = PlacementRequest()
    user: Annotated[
        str,
        field(
            "The user that its program runs as: a name of the image's or a number, and a group behind a colon.",
            note="Empty: the image's own.",
            pattern=USER,
            maxLength=MAX_USER,
            wrong=f"is no user: write a name or a number up to {MAX_USER_ID}, as in app, app:staff or 1000:1000",
            option=Option(("-u", "--user"), "USER[:GROUP]", default="the image's"),
        ),
    ] = ""
    hostname: Annotated[
        str,
        field(
            "Its container's host name.",
            note="Empty: the engine's choice.",
            read=read_hostname,
            pattern=HOSTNAME,
            maxLength=MAX_TEXT,
            option=Option(("--hostname",), "NAME", default="the engine's choice"),
        ),
    ] = ""
    priority: Annotated[
        int,
        field(
            "Which jobs go first when room is short: those with a higher priority.",
            note=f"{-MAX_PRIORITY} to {MAX_PRIORITY}.",
            spec=None,
            minimum=-MAX_PRIORITY,
            maximum=MAX_PRIORITY,
            option=Option(("--priority",), "N"),
        ),
    ] = 0
    after: Annotated[
        list[AfterRequest],
        field(
            "Other jobs that come first: it starts once they are started, healthy or completed.",
            read=read_after,
            show=show_after,
            max_length=MAX_AFTER,
            option=Option(
                ("--after",),
                "JOB[:CONDITION]",
                "after",
                also="As in db, which is db:healthy, db:started or migrate:completed; with :optional behind it, "
                "one that is not there is not waited for.",
            ),
        ),
    ] = []
    networks: Annotated[
        list[Annotated[str, schema(pattern=NETWORK_PATTERN)]],
        field(
            "Networks of the cluster that it is on; by the first it leaves them.",
            note="Empty: the default one, where its node has it.",
            read=read_networks,
            show=list,
            max_length=MAX_OF_JOB,
            option=Option(("--networks",), "NAME", default="the default one"),
        ),
    ] = []
    ingress: Annotated[
        list[IngressRequest],
        field(
            "Ports that are open on every node of the cluster's network, and lead to its tasks that are ready.",
            read=read_ingress,
            show=show_ingress,
            max_length=MAX_PORTS,
            option=Option(
                ("--ingress",),
                "PORT[:CONTAINER][/udp][:sticky]",
                "ingress",
                also="As in 8080:80, or 53:5353/udp; with :sticky behind it, a client goes to one task.",
            ),
        ),
    ] = []
    allow_from: AllowFrom = []
    volumes: Volumes = []
    network_aliases: NetworkAliases = []
    stop_after_disconnect_seconds: StopAfter = None


class TaskRequest(TaskFields, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /tasks`."""


class AllocationView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One run of a task on one node."""

    id: Annotated[str, Meta(description="Part of the container's name.")]
    node_id: str
    state: str
    reason: str
    restarts: Annotated[int, Meta(description="On this node, in this run.")]
    exit_code: int | None
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    started_at: str | None
    finished_at: str | None
    container_id: Annotated[str, Meta(description="As its node's engine has it; empty while there is none.")] = ""
    container_name: Annotated[str, Meta(description="As its node's engine has it.")] = ""
    progress: Annotated[ProgressView | None, Meta(description="While its image is pulled.")] = None
    health: Annotated[
        str,
        schema(
            "By its health check: `none` while it does not run, or has none.",
            enum=[*Health],
        ),
    ] = "none"
    ready_since: Annotated[
        str | None, Meta(description="Since it is healthy or, without a health check, since its port accepts.")
    ] = None
    image_digest: Annotated[
        str, Meta(description="The content of its image, if its job says it; empty: whatever its tag stood for.")
    ] = ""


if TYPE_CHECKING:
    ShownFields = TaskFields
else:
    ShownFields = shown_always(TaskFields, but=ContainerFields)


class TaskView(ShownFields, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """A task as it is: how it is to be run, and what has become of that. Options of its container that are as by
    default are left out.
    """

    id: Annotated[str, Meta(description="`job/index`.")]
    state: str
    reason: Annotated[str, Meta(description="Why it is not as asked, for people.")]
    node_id: str | None
    address: Annotated[str, Meta(description="The container's own, on its engine's network.")]
    ports: Annotated[
        dict[str, str],
        Meta(description='Of "80/tcp" the "host:port" that answers; who else may ask, portBindings says.'),
    ]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    started_at: str | None
    finished_at: str | None
    port_bindings: Annotated[dict[str, str], schema("As asked for, in text.")] = always({})
    allocations: Annotated[list[AllocationView], Meta(description="Its runs, the newest last.")]
    stopped: Annotated[bool, Meta(description="Kept, with nothing of it running, until it is started.")] = always(
        False
    )
    created_index: Annotated[int, Meta(description="Tells it from others of its name.")] = always(0)
    placement_failure: Annotated[
        PlacementFailureView | None,
        Meta(description="What `reason` is made of while no node takes the task, for programs."),
    ] = always(None)
    progress: Annotated[ProgressView | None, Meta(description="While its image is pulled.")] = always(None)
