"""Values of a container's options, as `docker run` takes them."""

import re
from pathlib import Path
from typing import Any

import click
from click.types import FuncParamType

from orion.model.amounts import parse_size


def word(text: str) -> tuple[str, str]:
    """NAME=VALUE, or NAME alone for an empty value, as `docker run --label`."""
    name, _, value = text.partition("=")
    return name, value


def program(text: str) -> list[str]:
    """`--entrypoint`: one word, and a list in JSON."""
    return [text]


def folder(text: str) -> tuple[str, str]:
    """`/run` or `/run:size=64m`."""
    path, _, options = text.partition(":")
    return path, options


class Swap(click.ParamType[int]):
    """A size, or -1."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if str(value) == "-1":
            return -1
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{error}, or -1", param, ctx)


class Rate(click.ParamType[tuple[str, int]]):
    """`/dev/sda:10m` or `/dev/sda:100`."""

    name = "device:rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        path, colon, rate = str(value).rpartition(":")
        if not colon:
            self.fail(f"{value!r} is not a device and a number: write it as in /dev/sda:1000", param, ctx)
        try:
            return path, parse_size(rate)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AddedHost(click.ParamType[tuple[str, str]]):
    """`db:10.0.0.1`, `db=10.0.0.1`, `db:host-gateway`; an IPv6 address with or without brackets."""

    name = "name:address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        match = re.fullmatch(r"([^:=]+)[:=](\[.*\]|.+)", str(value))
        if match is None:
            self.fail(f"{value!r} is not a host: write it as in db:10.0.0.1", param, ctx)
        address = match[2]
        return match[1], address[1:-1] if address.startswith("[") and address.endswith("]") else address


class SecurityOption(click.ParamType[str]):
    """As it stands, but that seccomp=FILE is that file's text."""

    name = "option"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, equals, profile = str(value).partition("=")
        if kind != "seccomp" or not equals or profile in {"unconfined", "builtin"} or profile.startswith("{"):
            return str(value)
        try:
            return f"seccomp={Path(profile).read_text(encoding='utf-8').strip()}"
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"the profile {profile} can't be read: {error}", param, ctx)


class Gpus(click.ParamType[list[Any]]):
    """`all`, `2`, `device=0,1`, `driver=nvidia,"capabilities=gpu,utility"` -> deviceRequests."""

    name = "gpus"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[Any]:
        from orion.model.api.container.isolation import DeviceRequestFields

        asked: dict[str, Any] = {"capabilities": ["gpu"]}
        key = ""
        for part in str(value).replace('"', "").replace("'", "").split(","):
            name, equals, text = part.partition("=")
            if not equals and key in {"device_ids", "capabilities"}:
                asked[key].append(part)  # one more of the list before it
                continue
            key, text = (name, text) if equals else ("count", part)
            key = {"device": "device_ids"}.get(key, key)
            if key in {"device_ids", "capabilities"}:
                asked[key] = [text]
            elif key == "count" and (text == "all" or text.isdecimal()):
                asked[key] = -1 if text == "all" else int(text)
            elif key == "driver":
                asked[key] = text
            else:
                self.fail(f"{value!r} are no GPUs: write all, a number, or device=ID,ID", param, ctx)
        if "count" not in asked and "device_ids" not in asked:
            asked["count"] = -1
        return [DeviceRequestFields(**asked)]


KINDS: dict[str, click.ParamType[Any]] = {
    "word": FuncParamType(word),
    "program": FuncParamType(program),
    "swap": Swap(),
    "rate": Rate(),
    "folder": FuncParamType(folder),
    "host": AddedHost(),
    "security": SecurityOption(),
    "gpus": Gpus(),
}
WHOLE = frozenset({"program", "gpus"})  # lists that one option gives all of
