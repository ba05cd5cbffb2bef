"""One call at a time about a volume: a second one is answered ABORTED, as the specification has it."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from grpclib.const import Status

from orion.csi_dir.failed import Failed


class Locks:
    """Holds within this process, and with a folder also against other processes that share it. The kernel lets go
    of what a process held that was killed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: set[str] = set()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Raises Failed(ABORTED) where somebody else holds it."""
        with self._guard:
            if key in self._held:
                raise _pending(key)
            self._held.add(key)
        try:
            with self._held_on_disk(key):
                yield
        finally:
            with self._guard:
                self._held.discard(key)

    @contextlib.contextmanager
    def _held_on_disk(self, key: str) -> Iterator[None]:
        """The file is removed while it is held, so whoever gets another one by this name looks again."""
        if self._folder is None:
            yield
            return
        file = self._folder / key
        while True:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is(descriptor, file):
                    yield
                    file.unlink(missing_ok=True)
                    return
            except BlockingIOError:
                raise _pending(key) from None
            finally:
                os.close(descriptor)


def _is(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _pending(key: str) -> Failed:
    return Failed(Status.ABORTED, f"another call about {key} is under way")
