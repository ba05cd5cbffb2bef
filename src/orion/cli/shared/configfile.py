"""`--config FILE`: a TOML file whose keys are the node's flags; flags and environment override it."""

from pathlib import Path
from typing import Any

import click


def read_defaults(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Fills the context's default map, as an option's callback. Raises click.UsageError that names file and key."""
    del param
    if not value:
        return
    flags = [flag for flag in ctx.command.params if isinstance(flag, click.Option) and flag.name != "config"]
    known = {(flag.name or "").replace("_", "-"): flag for flag in flags}
    defaults: dict[str, Any] = {}
    for key, item in _parse(value).items():
        name = key.replace("_", "-")
        if name not in known:
            raise click.UsageError(f"{value}: {key!r} is not a setting{_hint(name, list(known))}")
        defaults[name.replace("-", "_")] = _checked(ctx, known[name], item, f"{value}: {key}")
    ctx.default_map = defaults


def _parse(path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}; --config names a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} is not TOML: {error}") from None


def _hint(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _checked(ctx: click.Context, flag: click.Option, item: Any, where: str) -> Any:
    """Returns the value as click takes it from a default map. A table means the same as a list of name=value."""
    if flag.multiple and isinstance(item, dict):
        item = [f"{name}={value}" for name, value in item.items()]
    if flag.multiple != isinstance(item, list) or isinstance(item, dict):
        raise click.UsageError(f"{where} must be {'a list' if flag.multiple else 'one value'}, not {item!r}")
    if flag.is_flag and not isinstance(item, bool):
        raise click.UsageError(f"{where} must be true or false, not {item!r}")
    if isinstance(item, bool) and not flag.is_flag:
        raise click.UsageError(f"{where} can't be {str(item).lower()}")
    try:
        flag.type_cast_value(ctx, item)
    except click.BadParameter as error:
        raise click.UsageError(f"{where}: {error.message}") from None
    return item
