"""How far a pull has come, summed up over an image's layers from Docker's stream of progress lines."""

from typing import Any

from orion.model.pull import PullProgress

_DOWNLOADED = frozenset({"Verifying Checksum", "Download complete", "Extracting", "Pull complete"})


class LayerProgress:
    def __init__(self) -> None:
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
    def summed(self) -> PullProgress:
        """Sums of the layers that are loaded now; those that the engine has already are not in them."""
        return PullProgress(sum(self._loaded.values()), sum(self._totals.values()))
