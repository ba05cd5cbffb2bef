"""Configs in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ConfigView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A config without its value; one that was deleted as it was."""

    key: str
    version: Annotated[int, Meta(description="No version of a key ever comes twice.")]
    size: Annotated[int, Meta(description="Bytes.")]
    created_at: Annotated[str | None, Meta(description="RFC 3339, UTC.")]
    changed_at: str | None
    folder: Annotated[bool, Meta(description="The value is a tar, of a folder with all that is in it.")] = False


class ConfigValue(msgspec.Struct, frozen=True, gc=False):
    """A config as a client reads it."""

    key: str
    value: bytes
    version: int
    folder: bool = False
