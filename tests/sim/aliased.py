"""Other names of jobs under the same faults: which job has which, and what each machine gives for them at rest."""

import random

from orion.model.api.network_fields import NetworkAliasRequest
from orion.model.network import DEFAULT
from orion.state.tables import State
from orion.state.tables.job_links import JobLinks
from orion.state.tables.networks import Networks
from sim.cluster import Cluster, Machine
from sim.networked import named, naming, ready_by_network, rows_of, seen_networks
from sim.world import World

LINKS = "what is looked up of jobs is what they say"
_NAMES = ("one", "two", "j1")  # the last may be a job's


def job_aliases(rng: random.Random, networks: list[str]) -> list[NetworkAliasRequest]:
    """The aliases of a job on these networks that a client asks for; one that is a job's name is refused."""
    names = rng.sample(_NAMES, rng.choice((0, 0, 1, 2)))
    return [NetworkAliasRequest(name, rng.choice(("", *(networks or [DEFAULT])))) for name in names]


def check_links(world: World, state: State) -> None:
    """Of every committed state."""
    rows = rows_of(state, JobLinks)
    for name, record in state.jobs.items():
        row, specs = rows.get(name), record.rollout.specs.values() if record.rollout else ()
        aliases = row.aliases if row is not None else ()
        allowed = set(row.allowed) if row is not None else set()
        if aliases:
            world.count("job with an alias")
        if aliases != record.job.task.aliases:
            world.fail(LINKS, f"{name}: {aliases}, and it has {record.job.task.aliases}")
        if lacks := {each for spec in (record.job.task, *specs) for each in spec.allow_from} - allowed:
            world.fail(LINKS, f"{name} lets {lacks} in, beside {allowed}")
    if strangers := rows.keys() - state.jobs.keys():
        world.fail(LINKS, f"{strangers} are no jobs")


def alias_unrest(cluster: Cluster, state: State) -> str:
    return next(filter(None, (_unrest(machine, state) for machine in naming(cluster, state))), "")


def _unrest(machine: Machine, state: State) -> str:
    """A job that the machine sees has its name before all aliases."""
    seen, rows = seen_networks(machine), rows_of(state, Networks)
    for alias in _NAMES:
        meant: set[int] = set()
        for job in [alias] if alias in state.jobs else []:
            own = ready_by_network(state, job)
            if first := [number for number in seen if number in own][:1]:
                meant = own[first[0]]
                break
        else:
            for job, record in state.jobs.items():
                names = [each.network for each in record.job.task.aliases if each.name == alias]
                on = {
                    0 if name == DEFAULT else rows[name].number for name in names if name == DEFAULT or name in rows
                }
                own = ready_by_network(state, job)
                meant |= next((own[n] for n in seen if n in own and ("" in names or n in on)), set())
        if (found := named(machine, alias)) != meant:
            return f"{machine.name} gives {found} for {alias}, which is {meant}"
    return ""
