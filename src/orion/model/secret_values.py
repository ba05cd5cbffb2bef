"""Secrets on their way to who needs them: a value that shows itself to nobody else."""

from collections.abc import Mapping
from typing import NoReturn

import msgspec

from orion.model.levels import since

MAX_SECRETS = 32
MAX_SECRET_BYTES = 64 << 10  # all keys and values of one together


class SecretValues:
    """Named secret texts. It prints as their number, and refuses to be encoded, copied or pickled: msgspec knows no
    such type, and says so, instead of writing one. Raises ValueError where there are too many.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        size = sum(len(key.encode()) + len(value.encode()) for key, value in self._values.items())
        if len(self._values) > MAX_SECRETS or size > MAX_SECRET_BYTES:
            raise ValueError(f"at most {MAX_SECRETS} secrets and {MAX_SECRET_BYTES:,} bytes go with one call")

    def reveal(self) -> dict[str, str]:
        """Returns a copy of the values. Only who hands them on to their receiver calls this."""
        return dict(self._values)

    def hidden(self, text: str) -> str:
        """Returns `text` without any of the values: what a receiver says of them may hold them."""
        for value in sorted(self._values.values(), key=len, reverse=True):
            if value:
                text = text.replace(value, "***")
        return text

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValues) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not written down")


NO_SECRETS = SecretValues()


@since(2)
class SecretPairs(msgspec.Struct, frozen=True, array_like=True):
    """Named secret texts as the log and nodes pass them on, sorted. They print as their number, wherever they are
    logged.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def values(self) -> SecretValues:
        return SecretValues(dict(self.pairs)) if self.pairs else NO_SECRETS

    def fault(self) -> str:
        """Says how they are more than one volume may have, "" where they are not."""
        size = sum(len(text.encode()) for pair in self.pairs for text in pair)
        if len(self.pairs) > MAX_SECRETS or size > MAX_SECRET_BYTES:
            return f"secrets are more than {MAX_SECRETS} or {MAX_SECRET_BYTES:,} bytes"
        return "" if len({name for name, _ in self.pairs}) == len(self.pairs) else "a secret is there twice"

    def __repr__(self) -> str:
        return f"<{len(self.pairs)} secrets>"
