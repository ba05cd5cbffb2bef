"""Moments in words: milliseconds since 1970 as programs and as people read them."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)  # a list has the same moments again and again
def rfc3339(unix_ms: int) -> str:
    """As in 2025-01-01T12:00:00.000Z."""
    text = datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def time_of_day(unix_ms: int) -> str:
    """As in 12:00:00 UTC."""
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%H:%M:%S} UTC"


def moment_text(unix_ms: int) -> str:
    """As in 2025-01-01 12:00:00 UTC."""
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(seconds: float) -> str:
    """Returns a time that has passed as people say it: 42s, 5m, 3h, 12d."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 172_800 else f"{whole // 86_400}d"
