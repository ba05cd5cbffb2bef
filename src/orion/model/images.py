"""Names of images, as Docker writes them: name, tag, digest."""

_SHOWN_DIGITS = 12  # of a digest, as Docker shows the ids of images


def is_pinned(image: str) -> bool:
    """Returns whether the name says its content by a digest, so that it means the same everywhere and for ever."""
    return "@" in image


def pinned(image: str, digest: str) -> str:
    """Returns nginx:1.27@sha256:... The tag is for people: with a digest beside it, engines go by that alone."""
    return f"{image}@{digest}"


def without_digest(image: str) -> str:
    return image.partition("@")[0]


def digest_of(image: str) -> str:
    """Returns "" for a name without one."""
    return image.partition("@")[2]


def image_text(image: str) -> str:
    """Returns the name for sentences, with the beginning of its digest: nginx:1.27@sha256:0123456789ab."""
    name, at, digest = image.partition("@")
    kind, colon, digits = digest.partition(":")
    return f"{name}{at}{kind}{colon}{digits[:_SHOWN_DIGITS]}"
