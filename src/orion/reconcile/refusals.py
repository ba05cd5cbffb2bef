"""When a start that is refused again and again is not tried any more."""

CONFIRMING_REFUSALS = 3  # a registry may be a moment behind when it says "no such image"


def gives_up(refusals: int, *, ran: bool) -> bool:
    """Returns True when a start is a failure for good: it was refused so many times in a row, each time for what
    the user wrote. A task that has run before was written well, so it is tried again: what is missing may come
    back.

    The restart policy does not apply: it is about programs that end, and this one never began.
    """
    return refusals >= CONFIRMING_REFUSALS and not ran
