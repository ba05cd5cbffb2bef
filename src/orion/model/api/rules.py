"""Fields of a task whose JSON is not what its spec has, or whose rule a pattern can't say.

`read_X` makes the spec's value and says what is wrong with the JSON's; `show_X` goes back. Whatever passes is
something that Docker takes, so that a task never fails later for the way it was written.
"""

import re

from orion.model.api.config_refs import variable_error
from orion.model.api.fields import Reading
from orion.model.errors import shown
from orion.model.job import RestartMode, RestartPolicy
from orion.model.labels import label_error
from orion.model.limits import (
    MAX_BYTES,
    MAX_CPU,
    MAX_GRACE_S,
    MAX_RESTARTS,
    MAX_SELECTORS,
    MAX_STRING_BYTES,
    MAX_VARIABLES,
    MAX_WORDS,
    MIN_CPU,
    MIN_MEMORY_BYTES,
)
from orion.model.templates import unknown_in, unknown_words

# --- images ------------------------------------------------------------------------------------------------

# An image reference, after the grammar of the OCI distribution project's reference package:
# [domain[:port]/]path[:tag][@digest].
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
IMAGE = (
    rf"^(({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/)?{_PART}(/{_PART})*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)
MAX_IMAGE = 512


def read_image(image: str, reading: Reading) -> str:
    if not image:
        reading.wrong("image is empty: name one, as in nginx or nginx:1.27")
    elif len(image) > MAX_IMAGE or not re.fullmatch(IMAGE, image):
        hint = "; names of images are in lower case" if image.lower() != image else ""
        reading.wrong(
            f"{shown(image)} is not the name of an image: write it as in nginx, nginx:1.27 or host:5000/app{hint}"
        )
    return image


# --- texts -------------------------------------------------------------------------------------------------


def read_command(command: list[str], reading: Reading) -> tuple[str, ...]:
    if len(command) > MAX_WORDS:
        reading.wrong(f"{reading.name} has {len(command):,} words; a task can have {MAX_WORDS:,}")
        return ()
    if command and not command[0]:
        reading.wrong("command starts with an empty word: name a program first", 0)
    for at, word in enumerate(command):
        if wrong := _string_error(word):
            reading.wrong(f"word {at} of command {wrong}", at)
    return tuple(command)


def read_env(env: dict[str, str], reading: Reading) -> tuple[tuple[str, str], ...]:
    if len(env) > MAX_VARIABLES:
        reading.wrong(f"{reading.name} has {len(env):,} variables; a task can have {MAX_VARIABLES:,}")
        return ()
    for name, value in env.items():
        if (wrong := variable_error(name)) is not None:
            reading.wrong(wrong, name)
        elif wrong := _string_error(f"{name}={value}"):
            reading.wrong(f"env {name[:80]} {wrong}", name)
        elif (unknown := unknown_in(value)) is not None:
            reading.wrong(f"env {name[:80]} {unknown_words(unknown)}", name)
    return tuple(sorted(env.items()))


def _string_error(text: str) -> str:
    """Says what is wrong with one argument or one NAME=value, "" for nothing."""
    if "\0" in text:
        return "holds a zero byte, which no program can be given"
    if len(text.encode("utf-8", "surrogatepass")) > MAX_STRING_BYTES:
        return f"is longer than Linux allows: at most {MAX_STRING_BYTES} bytes"
    return ""


def read_selectors(selectors: dict[str, str], reading: Reading) -> tuple[tuple[str, str], ...]:
    if len(selectors) > MAX_SELECTORS:
        reading.wrong(f"{reading.name} has {len(selectors):,} labels; a task can ask for {MAX_SELECTORS}")
        return ()
    for key, value in selectors.items():
        if wrong := label_error(key, value):
            reading.wrong(wrong, key)
    return tuple(sorted(selectors.items()))


# --- amounts -----------------------------------------------------------------------------------------------


def read_bytes(count: int, reading: Reading) -> int:
    _refuse_amount(reading, count, MAX_BYTES, "bytes")
    return count


def read_memory(count: int, reading: Reading) -> int:
    if 0 < count < MIN_MEMORY_BYTES:
        reading.wrong(
            f"{reading.name} is {count} bytes, less than Docker's minimum of 6 MiB ({MIN_MEMORY_BYTES}): "
            "give more, or 0 for no limit"
        )
        return 0
    return read_bytes(count, reading)


def read_cpu(cores: float, reading: Reading) -> int:
    if 0 < cores < MIN_CPU:
        reading.wrong(
            f"{reading.name} is {cores:g}, less than Docker's minimum of {MIN_CPU:g}: give more, or 0 for no limit"
        )
        return 0
    return round(cores * 1000) if _refuse_amount(reading, cores, MAX_CPU, "cores, as in 0.25") else 0


def _refuse_amount(reading: Reading, value: float, most: float, unit: str) -> bool:
    """False, once it is said, for what is no amount."""
    if value < 0:
        reading.wrong(f"{reading.name} is negative: give {unit}, or 0 for no limit")
    elif not value <= most:
        reading.wrong(f"{reading.name} is larger than any machine: give {unit}")
    else:
        return True
    return False


def show_cpu(cpu_millis: int) -> float:
    return cpu_millis / 1000


def read_grace(seconds: float, reading: Reading) -> int:
    if not 0 <= seconds <= MAX_GRACE_S:
        reading.wrong(f"{reading.name} is {seconds:g}: give 0 to {MAX_GRACE_S} seconds")
        return 0
    return round(seconds * 1000)


def show_grace(grace_ms: int) -> float:
    return grace_ms / 1000


# --- policies ----------------------------------------------------------------------------------------------

RESTART = r"^(no|always|on-failure(:([0-9]{1,6}|1000000))?)$"
_RESTART = r"(no|always|on-failure)(?::([0-9]{1,9}))?"


def read_restart(text: str, reading: Reading) -> RestartPolicy:
    match = re.fullmatch(_RESTART, text)
    if not match or (match[2] and match[1] != RestartMode.ON_FAILURE):
        hint = "; always is the same here" if text == "unless-stopped" else ""
        reading.wrong(
            f"{reading.name} {shown(text)} is not known: use no, always, on-failure or on-failure:N{hint}"
        )
        return RestartPolicy()
    mode = RestartMode(match[1])
    if mode is not RestartMode.ON_FAILURE:
        return RestartPolicy(mode, 0)
    most = int(match[2] or 0)
    if most > MAX_RESTARTS:
        reading.wrong(f"{reading.name} allows at most {MAX_RESTARTS} restarts; on-failure alone has no limit")
    return RestartPolicy(mode, most)


def show_restart(policy: RestartPolicy) -> str:
    """on-failure:5, on-failure (no limit), always, no."""
    if policy.mode is RestartMode.ON_FAILURE and policy.max_restarts:
        return f"{policy.mode}:{policy.max_restarts}"
    return policy.mode.value
