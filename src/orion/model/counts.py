"""Numbers with their nouns, for people."""


def several(count: int, word: str) -> str:
    """1 task, 2 tasks, 1,000 tasks. `word`: a noun whose plural ends with s."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
