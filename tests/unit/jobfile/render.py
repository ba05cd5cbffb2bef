"""Requests written as job files, in ways that people write them."""

import json
import re

import msgspec
import yaml

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile("[\x7f-\x9f\ufffe\uffff]")


def _escaped(text):
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def as_json(value, indent=None):
    return _escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def as_yaml(value, *, flow):
    return yaml.safe_dump(value, default_flow_style=flow, allow_unicode=False, sort_keys=False)


def toml_key(key):
    return key if _BARE.fullmatch(key) else as_json(key)


def toml_value(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {toml_value(each)},  # one\n" for each in value) + "]"
    return as_json(value)


def as_toml(value, header=(), *, tables):
    """With `tables` objects have headers, else braces."""
    below = {key: each for key, each in value.items() if tables and isinstance(each, dict)}
    lines = [f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items() if key not in below]
    for key, each in below.items():
        inner = (*header, key)
        lines += [f"\n[{'.'.join(map(toml_key, inner))}]", as_toml(each, inner, tables=tables)]
    return "\n".join(lines)


def body(request):
    """The request as the JSON that a client sends, without null, which TOML does not have."""
    return _without_null(msgspec.to_builtins(request))


def _without_null(value):
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value
