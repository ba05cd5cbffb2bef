"""Networks, and who is on them, as the API shows them."""

from collections.abc import Iterator

from orion.model.allocation import Allocation
from orion.model.api.network import (
    NetworkDetailView,
    NetworkSubnetView,
    NetworkSummaryView,
    NetworkTaskView,
)
from orion.model.ids import task_id
from orion.model.network import DEFAULT, DEFAULT_NUMBER, Network, Subnet, address_text, subnet_text
from orion.model.times import rfc3339
from orion.reconcile.local_network import VNI, bridge_name, device_name
from orion.state.tables.networks import Networks
from orion.state.tables.subnets import Subnets
from orion.state.view import View

MAX_SHOWN = 1_000  # jobs, and tasks
_DEFAULT = Network(DEFAULT, DEFAULT_NUMBER)


def summaries(view: View) -> list[NetworkSummaryView]:
    """Returns all networks, the default one first."""
    networks = view.of(Networks)
    rows: dict[int, list[Subnet]] = {}
    for row in view.of(Subnets).rows.values():
        rows.setdefault(row.network, []).append(row)
    known = (_DEFAULT, *(networks.rows[name] for name in networks.ordered()))
    return [_summary(view, each, rows.get(each.number, [])) for each in known]


def _summary(view: View, network: Network, rows: list[Subnet]) -> NetworkSummaryView:
    addresses = sum(len(list(_held(view, row))) for row in rows)
    return NetworkSummaryView(network.name, network.internal, len(rows), addresses, _created_at(network))


def _created_at(network: Network) -> str | None:
    return rfc3339(network.created_at_ms) if network.created_at_ms else None


def detail(view: View, name: str) -> NetworkDetailView | None:
    network = _DEFAULT if name == DEFAULT else view.of(Networks).get(name)
    if network is None:
        return None
    subnets = view.of(Subnets)
    rows = sorted((subnets.rows[key] for key in subnets.of_network(network.number)), key=lambda row: row.node)
    held = {row.node: list(_held(view, row)) for row in rows}
    on_it = (job for job in view.job_names() if (found := view.job(job)) and name in found.task.network_names)
    return NetworkDetailView(
        name=network.name,
        internal=network.internal,
        vni=VNI + network.number,
        bridge=bridge_name(network.number),
        device=device_name(network.number),
        created_at=_created_at(network),
        jobs=[job for job, _ in zip(on_it, range(MAX_SHOWN), strict=False)],
        subnets=[NetworkSubnetView(row.node, subnet_text(row.first), len(held[row.node])) for row in rows],
        tasks=[_task(view, *each) for row in rows for each in held[row.node]][:MAX_SHOWN],
    )


def _held(view: View, row: Subnet) -> Iterator[tuple[Allocation, int]]:
    """Returns the node's tasks that have an address there, with that."""
    for each in view.allocations_of_node(row.node):
        address = next((ip for ip in each.addresses if ip in row), None)
        if address is not None and not each.terminal:
            yield each, address


def _task(view: View, allocation: Allocation, address: int) -> NetworkTaskView:
    spec = view.spec(allocation.job, allocation.job_version)
    ready = spec is not None and allocation.wanted and allocation.ready_since_ms(spec) > 0
    task = task_id(allocation.job, allocation.index)
    return NetworkTaskView(task, allocation.node, address_text(address), ready)
