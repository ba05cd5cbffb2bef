"""A typed, synchronous client of the HTTP API, on the standard library and msgspec alone.

    from orion.client import Client, TaskRequest

    with Client("localhost:8000") as client:
        task = client.create_task(TaskRequest(image="nginx", port_bindings={"80/tcp": "8080"}), wait_running_s=60)
        print(task.state, task.ports)

Every failure is an OrionError: `Refused` (and below it `Invalid`, `NotFound`, `Conflict`) for what can't work as
asked, `Unavailable` for what may work later.
"""

from orion.client.client import Client
from orion.client.container_session import ContainerSession, Output
from orion.client.logs import LogLine
from orion.model.api.checks import CheckView, RunChecksView
from orion.model.api.cluster import EventView, HealthView, MemberView, RaftView
from orion.model.api.config_refs import ConfigRefRequest
from orion.model.api.configs import ConfigValue, ConfigView
from orion.model.api.deployments import DeploymentView
from orion.model.api.endpoints import EndpointView
from orion.model.api.jobs import JobRequest, JobView, VersionView
from orion.model.api.network import NetworkCheckView, NetworkView
from orion.model.api.nodes import NodeView
from orion.model.api.placement_fields import AffinityRequest, AlongsideRequest, PlacementRequest
from orion.model.api.plans import PlanView
from orion.model.api.schedule_fields import RunView, ScheduleRequest
from orion.model.api.stats import StatsView
from orion.model.api.tasks import AllocationView, TaskRequest, TaskView
from orion.model.api.update_fields import UpdateRequest
from orion.model.errors import Conflict, Invalid, NotFound, OrionError, Refused, Unavailable

__all__ = [
    "AffinityRequest",
    "AllocationView",
    "AlongsideRequest",
    "CheckView",
    "Client",
    "ConfigRefRequest",
    "ConfigValue",
    "ConfigView",
    "Conflict",
    "ContainerSession",
    "DeploymentView",
    "EndpointView",
    "EventView",
    "HealthView",
    "Invalid",
    "JobRequest",
    "JobView",
    "LogLine",
    "MemberView",
    "NetworkCheckView",
    "NetworkView",
    "NodeView",
    "NotFound",
    "OrionError",
    "Output",
    "PlacementRequest",
    "PlanView",
    "RaftView",
    "Refused",
    "RunChecksView",
    "RunView",
    "ScheduleRequest",
    "StatsView",
    "TaskRequest",
    "TaskView",
    "Unavailable",
    "UpdateRequest",
    "VersionView",
]
