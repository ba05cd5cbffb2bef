"""Ports that can't be open on every node, as far as this is known before anything is written."""

from orion.model.errors import FieldError, Invalid, pointer
from orion.model.job import Job
from orion.model.settings import NETWORK
from orion.state.records import port_key, port_text
from orion.state.tables.configs import Configs
from orion.state.view import View


def refuse_ingress(view: View, job: Job) -> None:
    """Raises Invalid where the cluster has no network, or Orion itself listens on a port on some node."""
    if not job.task.ingress:
        return
    if view.of(Configs).network is None:
        message = (
            "ports that are open on every node lead over the cluster's own network, which is off: switch it on with"
            f" 'orion config put {NETWORK} 10.200.0.0/16'"
        )
        raise Invalid([FieldError(pointer("ingress"), message)])
    errors = []
    for at, each in enumerate(job.task.ingress):
        key = port_key(each.port, each.protocol)
        node = next((node.id for node in view.nodes() if key in view.own_ports(node)), "")
        if node:
            message = f"{port_text(key)} is what Orion itself listens on, on {node}: choose another"
            errors.append(FieldError(pointer("ingress", at, "port"), message))
    if errors:
        raise Invalid(errors)
