"""How many files this process may have open. Connections are files, and the usual 1,024 is for programs that use
`select`, which is broken beyond.
"""

import contextlib
import resource


def raise_limit() -> None:
    """To what may be had without asking anybody."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Refused where the system has been told since to give nobody so many.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
