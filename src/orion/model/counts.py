"""Numbers with their nouns, for people."""


def several(count: int, word: str, many: str = "") -> str:
    """1 task, 2 tasks, 1,000 tasks. `many`: the plural of a noun that has not just an s more."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {many or f'{word}s'}"
