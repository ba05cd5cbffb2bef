"""How far a pull has come, summed up over an image's layers from Docker's stream of progress lines."""

from typing import Any

from orion.model.resources import bytes_text

_DOWNLOADED = frozenset({"Verifying Checksum", "Download complete", "Extracting", "Pull complete"})


class Progress:
    def __init__(self, image: str) -> None:
        self._image = image
        self._totals: dict[str, int] = {}
        self._loaded: dict[str, int] = {}
        self._unpacked: set[str] = set()

    def add(self, line: dict[str, Any]) -> None:
        layer, status = line.get("id", ""), line.get("status", "")
        detail = line.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._totals[layer] = detail["total"]
            self._loaded[layer] = min(detail.get("current", 0), detail["total"])
        elif status in _DOWNLOADED and layer in self._totals:
            self._loaded[layer] = self._totals[layer]
            if status == "Pull complete":
                self._unpacked.add(layer)

    @property
    def text(self) -> str:
        """`pulling nginx:latest: 12.3 of 54.1 MB`. The total grows while Docker learns of further layers."""
        total = sum(self._totals.values())
        if not total:
            return f"pulling {self._image}"
        loaded = sum(self._loaded.values())
        if loaded < total:
            return f"pulling {self._image}: {_of(loaded, total)}"
        return f"pulling {self._image}: {bytes_text(total)} loaded, unpacking"


def _of(loaded: int, total: int) -> str:
    """One unit for both when they share it: 12.3 of 54.1 MB."""
    some, all_of_it = bytes_text(loaded), bytes_text(total)
    number, _, unit = some.partition(" ")
    return f"{number if all_of_it.endswith(f' {unit}') else some} of {all_of_it}"
