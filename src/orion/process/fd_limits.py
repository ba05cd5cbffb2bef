"""How many files this process may have open, and how many of them may be connections. The usual limit of 1,024 is
for programs that use `select`, which is broken beyond.
"""

import contextlib
import resource

FEWEST_CONNECTIONS = 16


def raise_limit() -> None:
    """To what may be had without asking anybody."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Refused where the system has been told since to give nobody so many.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections(one_in: int, *, most: int) -> int:
    """So many that each `one_in` files is one, at most `most`: silent clients must leave files for the rest."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    return min(most, max(FEWEST_CONNECTIONS, files // one_in))
