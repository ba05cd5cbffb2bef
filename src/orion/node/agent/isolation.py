"""Where a bug ends. What meets the unforeseen while it works for one allocation fails as if the engine had refused
it: with a reason, a growing wait and this node's other tasks untouched.
"""

import contextlib
import logging
from collections.abc import Iterator

from orion.model.errors import EngineError

log = logging.getLogger(__name__)

# What data that nobody foresaw comes to. Not AssertionError, which says that this process can't be trusted, and not
# LogFailed or what else has been given a meaning of its own.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@contextlib.contextmanager
def isolated(doing: str) -> Iterator[None]:
    try:
        yield
    except UNFORESEEN as error:
        log.exception("a bug in Orion, %s", doing)
        words = f"a bug in Orion ({type(error).__name__}: {error}), of which this node's log has more"
        raise EngineError(words) from error
