"""Tables as files."""

import csv
import io
import re
import time
from collections.abc import Sequence


def save_table(name: str, rows: Sequence[Sequence[str]]) -> str:
    """Writes rows, the titles first, to a new file of comma-separated values. Returns what became of it."""
    from orion.tui.screens.text_pane import saved

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    plain = re.sub(r"[^a-zA-Z0-9._-]+", "-", name).strip("-")
    return saved(f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}.csv", text.getvalue().splitlines())
