"""How far a pull has come."""

from orion.adapters.docker.pull import LayerProgress
from orion.model.pull import PullProgress


def test_progress_over_several_layers():
    progress = LayerProgress()

    def line(layer, status, current=0, total=0):
        detail = {"current": current, "total": total} if total else {}
        progress.add({"id": layer, "status": status, "progressDetail": detail})
        return progress.summed

    assert line("1", "Pulling from web") == PullProgress()
    assert line("a", "Already exists") == PullProgress()
    assert line("b", "Downloading", 500_000, 4_000_000) == PullProgress(500_000, 4_000_000)
    assert line("c", "Downloading", 1_500_000, 50_100_000) == PullProgress(2_000_000, 54_100_000)
    assert line("b", "Download complete") == PullProgress(5_500_000, 54_100_000)
    loaded = PullProgress(54_100_000, 54_100_000)
    assert line("c", "Downloading", 50_100_000, 50_100_000) == loaded
    assert line("b", "Extracting", 1, 4_000_000) == loaded
    assert line("b", "Pull complete") == loaded
    progress.add({"status": "Digest: sha256:00"})
    assert progress.summed == loaded
