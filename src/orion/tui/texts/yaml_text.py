"""Views and jobs as YAML. A job is what `orion deploy` takes."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
import yaml

from orion.jobfile.shape import units
from orion.model.amounts import parse_size
from orion.model.api.jobs import JobRequest, JobView, request_of
from orion.model.resources import size_text
from orion.tui.lines import Line, Part, plain

_FIRST = ("name", "kind", "schedule", "count", "image", "command")
_LEAST = 1_000  # bytes that are written with a unit
_WIDTH = 1 << 16  # no line is folded


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Writes text of several lines as a block, and never one thing as a reference to another."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        del indentless  # lists are indented below their keys
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value.split("\n")))


def _style(lines: list[str]) -> str | None:
    if not all(line.isprintable() for line in lines):
        return '"'  # with escapes: other line ends than ours would be read as spaces
    return "|" if len(lines) > 1 else None


_Dumper.add_representer(str, _text)


def yaml_text(value: Any) -> str:
    plain_values = _whole(msgspec.to_builtins(value))
    return str(yaml.dump(plain_values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))


def _whole(value: Any) -> Any:
    """Returns the value with whole numbers written as such: amounts of bytes are."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def job_yaml(job: JobView | JobRequest, *, always: Collection[str] = ()) -> str:
    """Returns the job as a file of it, without what is as by default, but `always` with some fields."""
    request = request_of(job, {}) if isinstance(job, JobView) else job
    values = {**{field: getattr(request, field) for field in always}, **_sparse(request)}
    first = {key: values[key] for key in _FIRST if key in values}
    return yaml_text({**first, **values})


def _sparse(value: Any) -> Any:
    """Returns the value in JSON's terms, without fields that are as by default."""
    if isinstance(value, msgspec.Struct):
        infos, kinds = msgspec.structs.fields(value), _units(type(value))
        pairs = ((info, getattr(value, info.name)) for info in infos)
        return {
            info.encode_name: _size(each) if kinds.get(info.encode_name) == "size" else _sparse(each)
            for info, each in pairs
            if each != _default(info)
        }
    if isinstance(value, list):
        return [_sparse(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _sparse(each) for key, each in value.items()}
    return msgspec.to_builtins(value)


_units = cache(units)


def _size(value: Any) -> Any:
    """Returns bytes as people write them, such as 64MiB, where that is the same number to the byte."""
    if not isinstance(value, int | float) or value < _LEAST or value != int(value):
        return _sparse(value)
    text = size_text(int(value)).replace(" ", "")
    return text if parse_size(text) == value else value


def _default(info: msgspec.structs.FieldInfo) -> Any:
    return info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default


def yaml_lines(text: str) -> Iterator[Line]:
    """Yields the lines with their keys apart from the values."""
    for line in text.splitlines():
        bare = line.lstrip(" -")
        key, colon, value = bare.partition(":")
        if bare.startswith("#"):
            yield plain(line, "dim")
        elif colon and (not value or value.startswith(" ")) and " " not in key:
            indent = line[: len(line) - len(bare)]
            yield Part(indent), Part(f"{key}:", "title"), Part(value)
        else:
            yield plain(line)
