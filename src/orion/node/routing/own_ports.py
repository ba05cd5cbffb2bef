"""Host ports that no task can ever have where it may run, because Orion itself listens there: known before anything
is written. Where some node may give it, the scheduler finds that one.
"""

from orion.model.errors import FieldError, Invalid, pointer
from orion.model.job import Job
from orion.model.placement_rules import PlacementRules
from orion.state.records import port_key, port_text
from orion.state.view import View


def refuse_own_ports(view: View, job: Job) -> None:
    """Raises Invalid, naming each."""
    wanted, rules = set(job.task.node_labels), job.task.rules or PlacementRules()
    owns = [
        view.own_ports(node)
        for node in view.nodes()
        if wanted <= set(node.labels) and rules.pass_labels(node.labels)
    ]
    errors = []
    for binding in job.task.ports:
        key = port_key(binding.host_port, binding.protocol)
        if binding.host_port and owns and all(key in own for own in owns):
            where = "on every node" if not wanted else "on every node with these labels"
            message = f"host {port_text(key)} is what Orion itself listens on {where}: choose another"
            errors.append(FieldError(pointer("portBindings", str(binding)), message))
    if errors:
        raise Invalid(errors)
