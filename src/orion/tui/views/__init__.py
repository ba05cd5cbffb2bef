"""All views of the cluster's rows, by name."""

from orion.tui.columns import View
from orion.tui.views.jobs import CRON, DEPLOYMENTS, JOBS
from orion.tui.views.nodes import NODES
from orion.tui.views.tasks import ALLOCATIONS, ENDPOINTS, TASKS
from orion.tui.views.things import CONFIGS, NETWORKS, VOLUMES

VIEWS: dict[str, View] = {
    view.name: view
    for view in (NODES, JOBS, CRON, TASKS, ALLOCATIONS, DEPLOYMENTS, ENDPOINTS, VOLUMES, NETWORKS, CONFIGS)
}
