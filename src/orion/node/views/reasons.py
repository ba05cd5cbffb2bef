"""How far a pull has come, as the API shows it to programs. Pure reads."""

from orion.model.api.tasks import ProgressView
from orion.model.pull import PullProgress


def progress(pull: PullProgress) -> ProgressView:
    phase = "unpacking" if pull.unpacking else "downloading" if pull.total_bytes else "resolving"
    return ProgressView(phase, pull.done_bytes, pull.total_bytes)
