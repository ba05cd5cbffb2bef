from orion.model.figures import Figure, gauge
from orion.node.agent.agent import Agent
from orion.ports.machine import Machine


def engine_figures(agent: Agent) -> tuple[Figure, ...]:
    return (gauge("orion_engine_up", "1 where the container engine answers", not agent.engine_down),)


def machine_figures(machine: Machine) -> tuple[Figure, ...]:
    usage = machine.usage()
    return (
        gauge("orion_machine_cpu_cores_used", "Cores in use, by whomever", usage.cpu_cores),
        gauge("orion_machine_memory_used_bytes", "Memory in use, by whomever", usage.memory_bytes),
    )
