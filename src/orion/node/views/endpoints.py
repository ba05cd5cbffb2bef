"""Applied state and gossip -> where a job's tasks can be reached."""

from collections.abc import Container, Iterator

from orion.model.allocation import Allocation
from orion.model.api.endpoints import EndpointView
from orion.model.errors import NotFound
from orion.model.ids import AllocationId, JobName, allocation_text, task_id
from orion.model.job import TaskSpec
from orion.node.membership.directory import Directory
from orion.node.views import render
from orion.reconcile.reachable import reachable
from orion.state.view import View


def endpoints(view: View, directory: Directory, job: JobName, *, everything: bool) -> list[EndpointView]:
    """By task. Those that are ready; with `everything` all that run or are about to. Raises NotFound."""
    if view.job(job) is None:
        raise NotFound(f"there is no job {job}; 'orion ps' lists tasks, by job")
    active = [a for a in view.allocations_of_job(job) if not a.terminal]
    ready = {a.id: since for a in active if (since := _ready_since(view, a))}
    used = _used([a for a in active if a.id in ready], directory)
    shown = active if everything else [a for a in active if a.id in used]
    return list(_views(view, shown, ready, used))


def _ready_since(view: View, allocation: Allocation) -> int:
    spec = view.spec(allocation.job, allocation.job_version)
    return allocation.ready_since_ms(spec) if spec is not None and allocation.wanted else 0


def _used(ready: list[Allocation], directory: Directory) -> set[AllocationId]:
    """By gossip, which hears of a death first."""
    found = reachable(ready, lambda each: each.node, is_alive=directory.is_alive, is_gone=directory.is_gone)
    return {each.id for each in found}


def _views(
    view: View, shown: list[Allocation], ready: dict[AllocationId, int], used: Container[AllocationId]
) -> Iterator[EndpointView]:
    for each in shown:
        spec = view.spec(each.job, each.job_version)
        yield EndpointView(
            task=task_id(each.job, each.index),
            node_id=each.node,
            address=each.status.address,
            ports=_ports(view, spec, each) if spec is not None else {},
            version=each.job_version,
            ready=each.id in used,
            ready_since=render.time_text(ready.get(each.id, 0)),
            allocation=allocation_text(each.id),
        )


def _ports(view: View, spec: TaskSpec, allocation: Allocation) -> dict[str, str]:
    return render.ports(view.node(allocation.node), spec, allocation)
