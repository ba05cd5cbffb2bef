"""Tasks for people: where they can be reached."""

from orion.model.api.tasks import TaskView
from orion.model.node import EVERYWHERE, LOOPBACKS, address_parts, address_text


def ports_text(task: TaskView) -> str:
    """Returns the addresses at which each port can be reached, as docker writes them: 10.0.0.1:8080->80/tcp. For a
    node that is known by a loopback address only, 0.0.0.0 is every address of it and 127.0.0.1 that address alone.
    """

    def reached(port: str, answers: str) -> str:
        host, number = address_parts(answers)
        bound, _, _ = task.port_bindings.get(port, "").rpartition(":")
        known = host not in (*LOOPBACKS, "localhost") or bound.strip("[]") not in EVERYWHERE
        return answers if known else address_text("0.0.0.0", number)  # noqa: S104 -- shown, not bound

    own = [f"{reached(port, answers)}->{port}" for port, answers in task.ports.items()]
    every = [f"every node:{each.port}->{each.container_port}/{each.protocol}" for each in task.ingress]
    return ", ".join(own + every)
