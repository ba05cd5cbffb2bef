"""A task in JSON into its job, and back: both ways from the one declaration in model/api/tasks.py."""

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from orion.model.api.fields import Field, Reading, fields_of
from orion.model.api.placement_fields import read_priority
from orion.model.api.tasks import TaskFields, TaskRequest
from orion.model.container_options import ContainerOptions
from orion.model.errors import FieldError, FieldErrors, Invalid, shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.job import Job, JobKind, TaskSpec
from orion.model.resources import Resources
from orion.model.templates import holds_any

_FIELDS = tuple(field for field in fields_of(TaskFields) if field.spec is not None)
# Parts of a spec that several fields of the JSON fill: resources, and options, which most tasks have none of.
_PARTS = {"resources": Resources, "options": ContainerOptions}
_NO_OPTIONS = ContainerOptions()
_BARE = TaskSpec(image="no image")
_ASKED = attrgetter(*(field.name for field in _FIELDS))
_NO_DEFAULT: Any = msgspec.NODEFAULT  # equals nothing that is asked for
_DEFAULTS = _ASKED(TaskFields(image=_NO_DEFAULT))


class _Shows:
    """Fields with one place in the spec each, on their way back into JSON. What is as it is by default is shown as
    the default of TaskFields: lists have thousands of tasks.
    """

    def __init__(self, fields: Sequence[Field], places: Sequence[str], bare: msgspec.Struct) -> None:
        self._places = attrgetter(*places)
        defaults = zip(fields, self._places(bare), strict=True)
        self._rows = tuple((field.name, field.show, default) for field, default in defaults)

    def show(self, held: msgspec.Struct) -> dict[str, Any]:
        return {
            name: show(value) if show is not None else value
            for (name, show, default), value in zip(self._rows, self._places(held), strict=True)
            if value is not default
        }


_OPTIONS = tuple(field for field in _FIELDS if field.spec and field.spec.startswith("options."))
_PLAIN = tuple(field for field in _FIELDS if field not in _OPTIONS and not field.beside)
_SHOWS = _Shows(_PLAIN, [field.spec or "" for field in _PLAIN], _BARE)
_OPTION_SHOWS = _Shows(_OPTIONS, [(field.spec or "").removeprefix("options.") for field in _OPTIONS], _NO_OPTIONS)
_PAIRS = tuple(
    (field.name, field.show, places, places(_BARE))
    for field in _FIELDS
    if field.beside and field.show and (places := attrgetter(field.spec or "", field.beside))
)


def job_from_request(request: TaskRequest, name: str, at_ms: int) -> Job:
    """The job of one task that `request` asks for, under `name`, created at `at_ms` (Unix milliseconds).

    Raises Invalid with an entry for each wrong field.
    """
    errors = FieldErrors()
    refuse_name(name, errors)
    spec = spec_from_fields(request, errors)
    priority = read_priority(request.priority, Reading(request, "priority", errors))
    if errors or spec is None:
        raise Invalid(errors)
    return Job(name=JobName(name), kind=JobKind.SERVICE, count=1, task=spec, created_at_ms=at_ms, priority=priority)


def refuse_name(name: str, errors: FieldErrors) -> None:
    """Adds to the errors what is wrong with a job's name."""
    if not JOB_NAME.fullmatch(name):
        message = f"name {shown(name)} can't be used: write 1 to 63 of a-z, 0-9 and '-', with no '-' at an end"
        errors.append(FieldError("/name", message))


def spec_from_fields(request: TaskFields, errors: FieldErrors) -> TaskSpec | None:
    """The spec that the fields describe; None when there is an entry in `errors`, one for each that is wrong."""
    # A field that is as it is by default is never wrong, and most are.
    asked = [
        (field, field.read(value, Reading(request, field.json, errors)) if field.read else value)
        for field, value, default in zip(_FIELDS, _ASKED(request), _DEFAULTS, strict=True)
        if value != default
    ]
    return None if errors else _spec(asked)


def _spec(read: list[tuple[Field, Any]]) -> TaskSpec:
    values: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for field, found in read:
        value = found
        if field.beside:
            value, values[field.beside] = found
        place, _, part = (field.spec or "").partition(".")
        if part:
            parts.setdefault(place, {})[part] = value
        else:
            values[place] = value
    values |= {place: _PARTS[place](**inner) for place, inner in parts.items()}
    return _with_options(TaskSpec(**values))


def _with_options(spec: TaskSpec) -> TaskSpec:
    options = spec.options or _NO_OPTIONS
    texts = (spec.hostname, *(text for _, text in (*spec.env, *options.labels)))
    if any(map(holds_any, texts)):
        options = replace(options, templates=True)
    options_or_none = options if options != _NO_OPTIONS else None
    return spec if options_or_none is spec.options else replace(spec, options=options_or_none)


def fields_from_spec(spec: TaskSpec) -> dict[str, Any]:
    """The TaskFields that say what `spec` does, but for the task's name and what is as it is by default."""
    fields = _SHOWS.show(spec)
    for name, show, places, default in _PAIRS:
        if (pair := places(spec)) != default:
            fields[name] = show(pair)
    return fields if spec.options is None else {**fields, **_OPTION_SHOWS.show(spec.options)}


def name_for(image: str, random: int) -> str:
    """A job's name made from the image's, when the user gave none: `ghcr.io/me/My_App:1` -> my-app-0a1b2.

    `random`: 20 bits.
    """
    path = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", path).strip("-")[:40].rstrip("-")
    return f"{name or 'task'}-{random:05x}"
