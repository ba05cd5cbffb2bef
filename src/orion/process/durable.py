"""Makes files outlive a loss of power."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """A new file, or a new name, is durable once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
