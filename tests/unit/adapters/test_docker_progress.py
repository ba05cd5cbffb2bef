"""How far a pull has come."""

from orion.adapters.docker.pull import Progress


def test_progress_over_several_layers():
    progress = Progress("web:1")

    def line(layer, status, current=0, total=0):
        detail = {"current": current, "total": total} if total else {}
        progress.add({"id": layer, "status": status, "progressDetail": detail})
        return progress.text

    assert line("1", "Pulling from web") == "pulling web:1"
    assert line("a", "Already exists") == "pulling web:1"
    assert line("b", "Downloading", 500_000, 4_000_000) == "pulling web:1: 500 kB of 4 MB"
    assert line("c", "Downloading", 1_500_000, 50_100_000) == "pulling web:1: 2 of 54.1 MB"
    assert line("b", "Download complete") == "pulling web:1: 5.5 of 54.1 MB"
    assert line("c", "Downloading", 50_100_000, 50_100_000) == "pulling web:1: 54.1 MB loaded, unpacking"
    assert line("b", "Extracting", 1, 4_000_000) == "pulling web:1: 54.1 MB loaded, unpacking"
    assert line("b", "Pull complete") == "pulling web:1: 54.1 MB loaded, unpacking"
    progress.add({"status": "Digest: sha256:00"})
