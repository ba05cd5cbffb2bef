"""Volumes, and paths of its node, that a task has, in JSON."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.config_refs import path_error
from orion.model.api.fields import Option, Reading, field, schema
from orion.model.claims import MAX_STOP_AFTER_MS, MIN_STOP_AFTER_MS
from orion.model.errors import shown
from orion.model.volumes import MAX_OF_TASK, MAX_PATH, NAME, VolumeMount

_PATH = r"^(/|(/[^/\x00-\x1f\x7f]+)+/?)$"
# Nothing can be mounted below /proc. Over /dev and /sys people do: a device, the host's own.
_HIDDEN = ("/proc",)
_TARGET = r"^(?!/proc(/|$))(?!.*/\.{1,2}(/|$))(/[^/\x00-\x1f\x7f]+)+/?$"
_SUBPATH = r"^$|^(?!(.*/)?\.{1,2}(/|$))[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*$"
_SOURCE = r"^$|^(?!.*/\.{1,2}(/|$))(/|(/[^/\x00-\x1f\x7f]+)+/?)$"


class VolumeRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A volume that a task has, by its name; or a path of its node, as `source`."""

    target: Annotated[str, schema("Where it is in the container.", pattern=_TARGET, maxLength=MAX_PATH)]
    name: Annotated[str, schema("The volume's name.", pattern=rf"^({NAME})?$")] = ""
    source: Annotated[
        str, schema("A path of its node, which must be there.", pattern=_SOURCE, maxLength=MAX_PATH)
    ] = ""
    read_only: bool = False
    per_slot: Annotated[
        bool, Meta(description="Each task of the job has a volume of its own: data-0, data-1 and so on.")
    ] = False
    nocopy: Annotated[
        bool, Meta(description="A new volume does not begin with what the image has at the target.")
    ] = False
    subpath: Annotated[
        str,
        schema("A directory of the volume, in the place of all of it.", pattern=_SUBPATH, maxLength=MAX_PATH),
    ] = ""
    shared: Annotated[
        bool,
        Meta(
            description="Of a path: mounts that the container makes below it are its node's too (rshared), as a"
            " storage plugin's have to be."
        ),
    ] = False

    @staticmethod
    def example(text: str) -> "VolumeRequest":
        """As it is written for what other systems have as one text: data:/var/lib/x, /srv/x:/x:ro."""
        source, _, rest = text.partition(":")
        target, _, flags = rest.partition(":")
        of_node = source.startswith(("/", ".", "~"))
        name, path = ("", source) if of_node else (source, "")
        return VolumeRequest(target or "/data", name, path, "ro" in flags.split(","))


_EMPTY = {"maxLength": 0}
_NOT = {"const": False}
ONE_SOURCE = schema(
    oneOf=[
        {"required": ["name"], "properties": {"name": {"minLength": 1}, "source": _EMPTY, "shared": _NOT}},
        {
            "required": ["source"],
            "properties": {
                "source": {"minLength": 1},
                "name": _EMPTY,
                "perSlot": _NOT,
                "nocopy": _NOT,
                "subpath": _EMPTY,
            },
        },
    ]
)


def read_volumes(asked: list[VolumeRequest], reading: Reading) -> tuple[VolumeMount, ...]:
    if len(asked) > MAX_OF_TASK:
        reading.wrong(f"{reading.name} has {len(asked):,}; a task can have {MAX_OF_TASK}")
        return ()
    known = len(reading.errors)
    taken = {each.path for each in reading.request.configs if each.path}
    for at, each in enumerate(asked):
        _refuse_wrong(each, at, reading)
        target = _plain(each.target)
        if target in taken:
            reading.wrong(f"{target} is given twice", at, "target")
        taken.add(target)
    return tuple(map(_read, asked)) if len(reading.errors) == known else ()


def _refuse_wrong(asked: VolumeRequest, at: int, reading: Reading) -> None:
    if wrong := path_error(_plain(asked.target), hidden=_HIDDEN):
        words = wrong.replace("a file's path", "a path in a container").replace("/etc/app.conf", "/var/lib/app")
        reading.wrong(words, at, "target")
    if bool(asked.name) == bool(asked.source):
        words = f"volume at {shown(asked.target)} needs one of name and source, which is a path"
        reading.wrong(words, at)
    elif asked.source:
        if len(asked.source) > MAX_PATH or not re.fullmatch(_SOURCE, asked.source):
            words = (
                f"{shown(asked.source)} is not a path of a node: write it from the root and plainly, as in /srv/x"
            )
            reading.wrong(words, at, "source")
        for name, given in (("perSlot", asked.per_slot), ("nocopy", asked.nocopy), ("subpath", asked.subpath)):
            if given:
                reading.wrong(f"{name} is for volumes: {asked.source[:80]} is a path of its node", at, name)
    elif asked.shared:
        reading.wrong(f"shared is for paths of a node: {asked.name[:80]} is a volume", at, "shared")
    elif not re.fullmatch(NAME, asked.name):
        reading.wrong(
            f"{shown(asked.name)} is no volume's name: up to 63 letters, digits, '.', '_' and '-' are",
            at,
            "name",
        )
    elif len(asked.subpath) > MAX_PATH or not re.fullmatch(_SUBPATH, asked.subpath):
        words = f"{shown(asked.subpath)} is not a path in a volume: write it plainly, as in data/v1"
        reading.wrong(words, at, "subpath")


def _plain(path: str) -> str:
    return path.rstrip("/") or "/"


def _read(asked: VolumeRequest) -> VolumeMount:
    source = _plain(asked.source) if asked.source else ""
    return VolumeMount(
        _plain(asked.target),
        asked.name,
        source,
        asked.read_only,
        asked.per_slot,
        asked.nocopy,
        asked.subpath,
        asked.shared,
    )


def show_volumes(mounts: tuple[VolumeMount, ...]) -> list[VolumeRequest]:
    return [
        VolumeRequest(m.target, m.name, m.source, m.read_only, m.per_slot, m.no_copy, m.subpath, m.shared)
        for m in mounts
    ]


Volumes = Annotated[
    list[Annotated[VolumeRequest, ONE_SOURCE]],
    field(
        "Volumes, and paths of its node, that it has.",
        note="A volume that is not there is made on the node of its first task, and its tasks go there from then"
        " on. The path of a node must be there.",
        read=read_volumes,
        show=show_volumes,
        max_length=MAX_OF_TASK,
        option=Option(
            ("-v", "--volume"),
            "VOLUME|/PATH:/PATH[:ro]",
            "volume",
            also="As in data:/var/lib/x, or /srv/x:/x:ro for a path of its node; more than ro, behind commas: "
            "per-slot, nocopy, subpath=PATH, rshared.",
        ),
    ),
]


def read_stop_after(seconds: float | None, reading: Reading) -> int | None:
    if seconds is None:
        return None
    if seconds and not MIN_STOP_AFTER_MS / 1000 <= seconds <= MAX_STOP_AFTER_MS / 1000:
        least, most = MIN_STOP_AFTER_MS // 1000, MAX_STOP_AFTER_MS // 1000
        reading.wrong(f"{reading.name} is {seconds:g}: give {least} to {most:,} seconds, or 0 for never")
        return None
    return round(seconds * 1000)


def show_stop_after(time_ms: int | None) -> float | None:
    return None if time_ms is None else time_ms / 1000


StopAfter = Annotated[
    float | None,
    field(
        "How long it goes on once its node has lost the cluster; 0: for as long as it likes.",
        note="Seconds. Null: 10 for a task that alone writes to a volume of a storage system, which no other node"
        " has before that time and 5 s more; else 0.",
        spec="stop_after_disconnect_ms",
        read=read_stop_after,
        show=show_stop_after,
        minimum=0,
        maximum=MAX_STOP_AFTER_MS / 1000,
        option=Option(
            ("--stop-after-disconnect",),
            "SECONDS",
            "seconds",
            default="10 as the one writer to a volume, else 0",
        ),
    ),
]
