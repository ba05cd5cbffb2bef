"""Configs: small values under keys, which people set and tasks read."""

import re
from typing import Annotated

import msgspec

from orion.model.errors import shown
from orion.model.levels import FIRST, since
from orion.model.resources import MIB

MAX_KEY_BYTES = 512
MAX_VALUE_BYTES = MIB
MAX_TASK_BYTES = 8 * MIB  # of all configs of one task: a node has them in memory while it makes the container
_FIRST_MAX_VALUE_BYTES = 64 * 1024

# "." and ".." are no parts of a key: clients take them out of paths.
KEY_PATTERN = r"^(?!(.*/)?\.{1,2}(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"
_PREFIX = r"[A-Za-z0-9._/-]*"


class ConfigStat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A config without its value, which is a tar if it is a `folder` (model/folders.py). `version` is the log index
    of its last change, so that no version of a key ever comes twice, not even after it was deleted. Times are wall
    clock, for people.
    """

    key: str
    version: int
    size_bytes: int
    created_at_ms: int
    changed_at_ms: int
    folder: Annotated[bool, since(2, words="folders as configs")] = False


class Config(msgspec.Struct, frozen=True, array_like=True, gc=False):
    stat: ConfigStat
    value: bytes


def most_value_bytes(level: int) -> int:
    """`level`: the cluster's, so that builds of both limits apply a put alike."""
    return MAX_VALUE_BYTES if level > FIRST else _FIRST_MAX_VALUE_BYTES


def key_error(key: str) -> str | None:
    """Returns what is wrong with a key, or None."""
    if len(key) > MAX_KEY_BYTES:
        return f"the key is {len(key):,} characters long; at most {MAX_KEY_BYTES} are taken"
    if not re.fullmatch(KEY_PATTERN, key):
        return f"{shown(key)} is not a key: write parts of letters, digits, '.', '_' and '-' with '/' between them"
    return None


def prefix_error(prefix: str) -> str | None:
    """Returns what is wrong with the beginning of keys, or None. It may end anywhere in a key."""
    if len(prefix) > MAX_KEY_BYTES or not re.fullmatch(_PREFIX, prefix):
        return f"must be the beginning of a key: at most {MAX_KEY_BYTES} letters, digits, '.', '_', '/' and '-'"
    return None
