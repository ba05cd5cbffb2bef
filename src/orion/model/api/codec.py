"""A task in JSON into its job, and back: both ways from the one declaration in model/api/tasks.py."""

import re
from operator import attrgetter
from typing import Any

import msgspec

from orion.model.api.fields import Field, Reading, fields_of
from orion.model.api.tasks import TaskFields, TaskRequest
from orion.model.errors import FieldError, FieldErrors, Invalid, shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.job import Job, JobKind, TaskSpec

_FIELDS = tuple(field for field in fields_of(TaskFields) if field.spec is not None)
# Parts of a spec that several fields of the JSON fill: resources.
_PARTS = {info.name: info.type for info in msgspec.structs.fields(TaskSpec)}
_PLACES = attrgetter(*(field.spec for field in _FIELDS if field.spec))
# What is as it is by default is shown as the default of TaskFields: lists have thousands of tasks.
_DEFAULTS = zip(_FIELDS, _PLACES(TaskSpec(image="no image")), strict=True)
_SHOWS = tuple((field.name, field.show, default) for field, default in _DEFAULTS)


def job_from_request(request: TaskRequest, name: str, at_ms: int) -> Job:
    """The job of one task that `request` asks for, under `name`, created at `at_ms` (Unix milliseconds).

    Raises Invalid with an entry for each wrong field.
    """
    errors = FieldErrors()
    if not JOB_NAME.fullmatch(name):
        message = f"name {shown(name)} can't be used: write 1 to 63 of a-z, 0-9 and '-', with no '-' at an end"
        errors.append(FieldError("/name", message))
    read = [(field, _read(field, request, errors)) for field in _FIELDS]
    if errors:
        raise Invalid(errors)
    return Job(name=JobName(name), kind=JobKind.SERVICE, count=1, task=_spec(read), created_at_ms=at_ms)


def _read(field: Field, request: TaskRequest, errors: FieldErrors) -> Any:
    value = getattr(request, field.name)
    return field.read(value, Reading(request, field.json, errors)) if field.read else value


def _spec(read: list[tuple[Field, Any]]) -> TaskSpec:
    values: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for field, value in read:
        place, _, part = (field.spec or "").partition(".")
        if part:
            parts.setdefault(place, {})[part] = value
        else:
            values[place] = value
    return TaskSpec(**values, **{place: _PARTS[place](**inner) for place, inner in parts.items()})


def fields_from_spec(spec: TaskSpec) -> dict[str, Any]:
    """The TaskFields that say what `spec` does, but for the task's name and what is as it is by default."""
    return {
        name: show(value) if show is not None else value
        for (name, show, default), value in zip(_SHOWS, _PLACES(spec), strict=True)
        if value is not default
    }


def name_for(image: str, random: int) -> str:
    """A job's name made from the image's, when the user gave none: `ghcr.io/me/My_App:1` -> my-app-0a1b2.

    `random`: 20 bits.
    """
    path = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", path).strip("-")[:40].rstrip("-")
    return f"{name or 'task'}-{random:05x}"
