"""Times as the screens of `orion top` say them."""

from datetime import UTC, datetime

from orion.model.times import age


def age_of(when: str | None) -> str:
    """Returns the age of an RFC 3339 time by this machine's clock; "" for none."""
    return age((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()) if when else ""


def since(when: str | None) -> str:
    """Returns a time with its age behind it; "" for none."""
    return f"{when} ({age_of(when)} ago)" if when else ""
