"""How a deployment ended, with all that is known of it where that is not what a test wants."""

from typing import Any

from support.lab_nodes import LabNodes
from support.nodes import Cluster

DEADLINE_S = 300.0


def ended(cluster: Cluster | LabNodes, view: dict[str, Any]) -> dict[str, Any]:
    """The deployment of a job as it was shown when that was changed, once it has ended."""
    path = f"/deployments/{view['deployment']['id']}"

    def end() -> dict[str, Any] | None:
        found = cluster.any().ask("GET", path) if isinstance(cluster, Cluster) else cluster.ask(1, "GET", path)
        return found if found["state"] != "running" else None

    return cluster.wait(end, f"{path} to end", deadline_s=DEADLINE_S)


def done(cluster: Cluster | LabNodes, view: dict[str, Any]) -> None:
    """What was asked for runs."""
    end = ended(cluster, view)
    assert end["state"] == "done", end
