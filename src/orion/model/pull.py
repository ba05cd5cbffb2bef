"""How far an image's pull has come."""

import msgspec

from orion.model.images import image_text
from orion.model.resources import bytes_text, part_text


class PullProgress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Both are 0 until the engine says how large the image is; the total grows as it learns of layers."""

    done_bytes: int = 0
    total_bytes: int = 0

    @property
    def unpacking(self) -> bool:
        """All of it is loaded, as far as is known."""
        return 0 < self.total_bytes <= self.done_bytes


def pull_text(image: str, pull: PullProgress, last_error: str = "") -> str:
    """`pulling nginx: 12.3 of 54.1 MB`, and why the last try failed: of a registry that refuses, that is all that
    is known.
    """
    words = f"pulling {image_text(image)}"
    if pull.unpacking:
        words += f": {bytes_text(pull.total_bytes)} loaded, unpacking"
    elif pull.total_bytes:
        words += f": {part_text(bytes_text(pull.done_bytes), bytes_text(pull.total_bytes))}"
    return f"{words}; the last try: {last_error}" if last_error else words
