"""Ports of every node under the same faults: which job has one, and where each machine's kernel leads at rest."""

import random

from orion.model.api.ingress_fields import IngressRequest
from orion.model.ingress import Backend
from orion.model.job import TaskSpec
from orion.state.job_record import JobRecord
from orion.state.records import port_key
from orion.state.tables import State
from orion.state.tables.ingress import Ingress
from sim.cluster import Cluster, Machine
from sim.world import World

PORTS_OF_JOBS = "a port of every node is one job's"
AT_REST = "a port leads to the ready tasks of its job"
_PORTS = (80, 443, 8443)


def job_ingress(rng: random.Random) -> list[IngressRequest]:
    """The ports of a job that a client asks for; one that another has is refused."""
    ports = rng.sample(_PORTS, rng.choice((0, 1, 1, 2)))
    return [IngressRequest(port, rng.choice((80, 8080)), sticky=rng.random() < 0.2) for port in sorted(ports)]


def check_published(world: World, state: State) -> None:
    """Of every committed state."""
    rows = state.tables[_table(state)].rows
    for key, row in rows.items():
        world.count("port of every node")
        record = state.jobs.get(row.job)
        if record is None or record.latest.stopping:
            world.fail(PORTS_OF_JOBS, f"{row} of {record and record.latest}")
        if not any(port_key(each.port, each.protocol) == key for spec in _wanted(record) for each in spec.ingress):
            world.fail(PORTS_OF_JOBS, f"{row}, of which no version that is wanted asks for it")
    for record in state.records.values():
        if both := sorted(set(rows).intersection(record.ports)):
            world.fail("a port of every node is no task's on one", f"{both} on {record.node.id}")


def _wanted(record: JobRecord) -> list[TaskSpec]:
    """Of its present version, the one that it would go back to, and those that its slots want."""
    rollout = record.rollout
    versions = {record.version(index) for index in range(min(record.job.count, len(record.slots)))}
    if rollout is not None:
        versions.add(rollout.healthy)
    specs = rollout.specs if rollout else {}
    return [record.job.task, record.latest.task, *(specs[version] for version in versions if version in specs)]


def _table(state: State) -> type:
    """The table of the state's own build."""
    return next(kind for kind in state.tables if kind.__name__ == Ingress.__name__)


def published_unrest(cluster: Cluster, state: State) -> str:
    """Of machines that have a part in the network: nobody is dead."""
    meant = _meant(state)
    return next(filter(None, (_unrest(machine, meant) for machine in cluster.machines.values())), "")


def _unrest(machine: Machine, meant: dict[int, set[Backend]]) -> str:
    run = machine.run
    if run is None or not run.node.network.networks.parts:
        return ""
    kernel = machine.engine.ingress
    if not kernel.whole:
        return f"{machine.name} lacks a part of its published ports"
    ports = kernel.applied.ports if kernel.applied else ()
    found = {port_key(port.port, port.protocol): set(port.backends) for port in ports}
    return f"{AT_REST}: {machine.name} leads to {found}, not {meant}" if found != meant else ""


def _meant(state: State) -> dict[int, set[Backend]]:
    found: dict[int, set[Backend]] = {}
    for key, row in state.tables[_table(state)].rows.items():
        record, backends = state.jobs[row.job], found.setdefault(key, set())
        for index in range(len(record.slots)):
            for each in record.history(index):
                spec = record.spec(each.job_version)
                if not each.wanted or each.terminal or not each.ready_since_ms(spec) or not each.ip:
                    continue
                backends |= {
                    Backend(each.ip, binding.container_port)
                    for binding in spec.ingress
                    if port_key(binding.port, binding.protocol) == key
                }
    return found
