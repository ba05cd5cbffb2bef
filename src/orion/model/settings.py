"""The cluster's own settings: configs under `orion/`, so that they are replicated, versioned and listed as all are.

`orion config put orion/placement pack` sets one, `orion config rm orion/placement` gives its default back.
"""

import re
from functools import lru_cache

from orion.model.job import Placement
from orion.model.network import AddressRange, parse_range

PREFIX = "orion/"
PLACEMENT = "orion/placement"
KEEP_ENDED = "orion/keep-ended"  # how long what is left of runs of cron jobs, and of completed batch jobs, is kept
KEPT_LOGS = "orion/kept-logs"
DEFAULT_KEPT_LOGS = 1
NETWORK = "orion/network"  # the addresses of the cluster's own network, or off
OFF = "off"

_CHOICES: dict[str, tuple[str, ...]] = {
    PLACEMENT: tuple(Placement),
    KEPT_LOGS: tuple("012345"),  # state remembers no more runs of a task that have ended
}
_TIMES = {KEEP_ENDED: 24 * 3_600_000}  # with their defaults, in milliseconds
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME = r"([0-9]{1,6})([smhd])"


def setting_error(key: str, value: bytes) -> str | None:
    """Returns what is wrong with `value` as the setting `key`, or None. A key outside of `orion/` is no setting."""
    if not key.startswith(PREFIX):
        return None
    if key in _TIMES:
        return (
            None
            if _time_ms(value) is not None
            else f"{key} is a time as in 90s, 30m, 24h or 7d, not {_text(value)[:80]!r}"
        )
    if key == NETWORK:
        return _network_error(_text(value))
    choices = _CHOICES.get(key)
    if choices is None:
        known = ", ".join((*_CHOICES, *_TIMES, NETWORK))
        return f"{key} is no setting of the cluster, for which keys under {PREFIX} are kept: {known}"
    if _text(value) not in choices:
        return f"{key} can be {' or '.join(choices)}, not {_text(value)[:80]!r}"
    return None


def placement(value: bytes | None) -> Placement:
    """Returns the placement that this value of `orion/placement` asks for; spread when it asks for none."""
    return (
        Placement(_text(value)) if value is not None and _text(value) in _CHOICES[PLACEMENT] else Placement.SPREAD
    )


def kept_logs(value: bytes | None) -> int:
    """Returns how many containers of replaced runs a node keeps of each task, for their logs."""
    known = value is not None and _text(value) in _CHOICES[KEPT_LOGS]
    return int(_text(value)) if value is not None and known else DEFAULT_KEPT_LOGS


def keep_ended_ms(value: bytes | None) -> int:
    """Returns the time that this value of `orion/keep-ended` asks for."""
    asked = None if value is None else _time_ms(value)
    return _TIMES[KEEP_ENDED] if asked is None else asked


def network(value: bytes | None) -> AddressRange | None:
    """Returns the addresses that this value of `orion/network` asks for; None where there is to be no network."""
    return None if value is None else _network(_text(value))


@lru_cache(maxsize=8)
def _network(text: str) -> AddressRange | None:
    return None if _network_error(text) is not None or text == OFF else parse_range(text)


def _network_error(text: str) -> str | None:
    if text == OFF:
        return None
    try:
        parse_range(text)
    except ValueError as error:
        return f"{NETWORK} can be off or a range of addresses: {error}"
    return None


def _time_ms(value: bytes) -> int | None:
    found = re.fullmatch(_TIME, _text(value))
    return int(found[1]) * _UNITS[found[2]] if found else None


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()
