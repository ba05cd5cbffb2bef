"""A refusal in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """RFC 9457."""

    title: str
    status: int
    detail: Annotated[str, Meta(description="What happened, to what, and what to do.")]
    code: Annotated[str, Meta(description="The kind of error, for programs.")] = ""
    errors: Annotated[
        list[dict[str, str]], Meta(description="A JSON Pointer and a message for each wrong field.")
    ] = []
