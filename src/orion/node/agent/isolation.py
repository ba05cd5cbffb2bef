"""Where a bug ends. What meets the unforeseen while it works for one allocation fails as if the engine had refused
it: with a reason, a growing wait and this node's other tasks untouched.
"""

import contextlib
import logging
from collections.abc import Iterator

from orion.model.errors import EngineError
from orion.node.runtime.isolation import UNFORESEEN

log = logging.getLogger(__name__)


@contextlib.contextmanager
def isolated(doing: str) -> Iterator[None]:
    try:
        yield
    except UNFORESEEN as error:
        log.exception("a bug in Orion, %s", doing)
        words = f"a bug in Orion ({type(error).__name__}: {error}), of which this node's log has more"
        raise EngineError(words) from error
