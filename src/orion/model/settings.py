"""The cluster's own settings: configs under `orion/`, so that they are replicated, versioned and listed as all are.

`orion config put orion/placement pack` sets one, `orion config rm orion/placement` gives its default back.
"""

from orion.model.job import Placement

PREFIX = "orion/"
PLACEMENT = "orion/placement"
KEPT_LOGS = "orion/kept-logs"
DEFAULT_KEPT_LOGS = 1

_CHOICES: dict[str, tuple[str, ...]] = {
    PLACEMENT: tuple(Placement),
    KEPT_LOGS: tuple("012345"),  # state remembers no more runs of a task that have ended
}


def setting_error(key: str, value: bytes) -> str | None:
    """Returns what is wrong with `value` as the setting `key`, or None. A key outside of `orion/` is no setting."""
    if not key.startswith(PREFIX):
        return None
    choices = _CHOICES.get(key)
    if choices is None:
        return f"{key} is no setting of the cluster, for which keys under {PREFIX} are kept: " + ", ".join(_CHOICES)
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


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()
