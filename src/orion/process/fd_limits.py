"""The limit of open files, and how many of them may be connections. The usual limit of 1,024 is meant for programs
that use `select`, which can't take more.
"""

import contextlib
import resource

FEWEST_CONNECTIONS = 16


def raise_limit() -> None:
    """Raises the limit to the hard limit, as any process may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Refused when the system-wide limit has been lowered since.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections(one_in: int, *, most: int) -> int:
    """Returns how many connections may be open: one for every `one_in` files that this process may open, at most
    `most`. The rest of the files stay free, whatever silent clients do.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    return min(most, max(FEWEST_CONNECTIONS, files // one_in))
