"""The JSON Schema (2020-12) of a job file, made of the declaration of its request."""

import re
from typing import Any

import msgspec

from orion.jobfile.load import KEPT_OUT, SEVERAL
from orion.jobfile.request import REQUEST
from orion.jobfile.shape import units
from orion.model.amounts import DURATION, SIZE
from orion.model.api.fields import structs_in
from orion.model.ids import JOB_NAME

_JOB = "Job"
_REF = "#/$defs/{name}"
_AMOUNTS = {
    "size": {"type": "string", "pattern": SIZE, "description": "With a unit, as in 64MB, 512m or 1.5GiB."},
    "seconds": {"type": "string", "pattern": DURATION, "description": "With units, as in 10s, 500ms or 1m30s."},
}
_NAME = f"^{JOB_NAME.pattern}$"
_ABOUT = (
    "One job, with its name; or several below jobs, each by its name. A number, true or false is taken as it is "
    f"written where text is wanted. What begins with {KEPT_OUT} is left out."
)


def document() -> dict[str, Any]:
    """Returns the schema."""
    _, parts = msgspec.json.schema_components((REQUEST,), ref_template=_REF)
    for kind in structs_in([REQUEST]):
        part = parts[kind.__name__]
        for name, unit in units(kind).items():
            shown = part["properties"][name] = _relaxed(part["properties"][name])
            if unit:
                part["properties"][name] = _with_unit(shown, unit)
    job = parts.pop(REQUEST.__name__)
    del job["additionalProperties"]
    job |= {"title": _JOB, "description": "A job: the body of the request that creates it."}
    reference = {"$ref": _REF.format(name=_JOB)}
    several = {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "minProperties": 1,
        "additionalProperties": {**reference, "unevaluatedProperties": False},
    }
    kept_out = {f"^{KEPT_OUT}": True}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Orion job file",
        "description": _ABOUT,
        "type": "object",
        "if": {"required": [SEVERAL]},
        "then": {"properties": {SEVERAL: several}, "patternProperties": kept_out, "additionalProperties": False},
        "else": {
            **reference,
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": _NAME}},
            "patternProperties": kept_out,
            "unevaluatedProperties": False,
        },
        "$defs": {_JOB: job, **parts},
    }


def _relaxed(schema: Any) -> Any:
    """Returns a schema in which texts may be written as numbers, where any number is right."""
    if isinstance(schema, list):
        return [_relaxed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: each if key in {"default", "enum", "const"} else _relaxed(each) for key, each in schema.items()}
    if made.get("type") == "string" and "enum" not in made and re.search(made.get("pattern", ""), "1"):
        made["type"] = ["string", "number", "boolean"]
    return made


def _with_unit(schema: dict[str, Any], unit: str) -> dict[str, Any]:
    """Returns the schema of an amount that may also be a text with a unit."""
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    plain = {key: each for key, each in schema.items() if key not in about}
    return {**about, "anyOf": [plain, _AMOUNTS[unit]]}
