"""The words of a command, in JSON's terms."""

from typing import Annotated, Any

from orion.model.api.fields import schema
from orion.model.limits import MAX_STRING_BYTES

_KEYWORDS: dict[str, Any] = {"pattern": r"^[^\x00]*$", "maxLength": MAX_STRING_BYTES}

Word = Annotated[str, schema(None, **_KEYWORDS)]
FIRST_WORD = {"prefixItems": [{"type": "string", "minLength": 1, **_KEYWORDS}]}  # of a command: a program
