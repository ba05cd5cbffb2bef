"""Volumes as `docker run -v` has them."""

from typing import Any

import click

_FLAGS = ("ro", "rw", "per-slot", "nocopy", "rshared")
_SUBPATH = "subpath="

Use = tuple[str, str, str, bool, bool, bool, str, bool]


class VolumeUse(click.ParamType[Use]):
    """`data:/var/lib/x`, `/srv/x:/x:ro`, `data:/x:ro,per-slot` -> the fields of a VolumeRequest, in order. What
    begins with / is a path of the node; any other name is a volume's, one letter too.
    """

    name = "volume"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Use:
        if isinstance(value, tuple):
            return value
        text = str(value)
        source, colon, rest = text.partition(":")
        target, _, flags = rest.partition(":")
        if not (source and colon and target):
            self.fail(f"{text!r} does not say what goes where: write data:/var/lib/x or /srv/x:/x", param, ctx)
        if source.startswith((".", "~")):
            self.fail(f"{text!r} is a path of this machine, not of a node: write it from the root", param, ctx)
        given = [flag for flag in flags.split(",") if flag]
        subpath = next((flag.removeprefix(_SUBPATH) for flag in given if flag.startswith(_SUBPATH)), "")
        unknown = [flag for flag in given if flag not in _FLAGS and not flag.startswith(_SUBPATH)]
        if unknown:
            self.fail(
                f"{text!r} ends with {unknown[0]!r}, which is unknown: write ro, rw, per-slot, nocopy,"
                " rshared or subpath=PATH",
                param,
                ctx,
            )
        name, path = ("", source) if source.startswith("/") else (source, "")
        ro, per_slot, nocopy, shared = (flag in given for flag in ("ro", "per-slot", "nocopy", "rshared"))
        return target, name, path, ro, per_slot, nocopy, subpath, shared
