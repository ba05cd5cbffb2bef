"""Whether a state is sound: for tests and the simulator."""

import hashlib

from orion.model.ids import AllocationId, NodeId
from orion.model.labels import effective
from orion.state.core.dedup import Answer, DedupTable
from orion.state.records import JobRecord, NodeRecord
from orion.state.restore import Restorer
from orion.state.snapshot import capture, encode
from orion.state.tables import State


def state_hash(state: State) -> bytes:
    """Equal for equal states, whatever way they came about."""
    digest = hashlib.blake2b(digest_size=16)
    for chunk in encode(capture(state)):
        digest.update(chunk)
    return digest.digest()


def rebuilt(state: State) -> State:
    """The same tables with indexes made anew."""
    restorer = Restorer()
    for chunk in encode(capture(state)):
        restorer.feed(chunk)
    return restorer.finish()


def check(state: State) -> None:
    """Every index is what the tables say. Raises AssertionError that names the first that is not."""
    again = rebuilt(state)
    for name in ("index", "cluster", "salt", "next_number", "next_allocation", "recovery", "level"):
        _same(name, getattr(state, name), getattr(again, name))
    for name in (
        "nodes",
        "removed",
        "allocations",
        "engines",
        "stuck",
        "configs",
        "config_keys",
        "config_bytes",
    ):
        _same(name, getattr(state, name), getattr(again, name))
    for name in ("records", "numbers", "draining", "jobs"):
        _same(f"keys of {name}", set(getattr(state, name)), set(getattr(again, name)))
    for name in ("answers", "config_answers"):
        _same(name, _remembered(getattr(state, name)), _remembered(getattr(again, name)))
    _same("order of jobs", list(state.jobs), list(again.jobs))
    _same("order of jobs by serial", sorted(state.jobs, key=lambda name: state.jobs[name].serial), list(state.jobs))
    waiting = [(record.serial, name) for name, record in state.jobs.items() if record.open_count]
    _same("open jobs", list(state.open_jobs.items()), [row for row in waiting if not state.jobs[row[1]].refusal])
    _same("refused jobs", list(state.refused_jobs.items()), [row for row in waiting if state.jobs[row[1]].refusal])
    _same("holdings", _holdings(state), _holdings(again))
    for node, record in state.records.items():
        labels = effective(record.node.own_labels, record.node.label_changes)
        _same(f"labels of {node}", record.node.labels, labels)
        assert record is state.numbers[record.number]
        _same(f"record of {node}", _node_parts(record), _node_parts(again.records[node]))
    for job, task in state.jobs.items():
        _same(f"record of {job}", _job_parts(task), _job_parts(again.jobs[job]))


def _remembered(memory: DedupTable) -> tuple[int, list[tuple[str, Answer]]]:
    return memory.forgotten, list(memory.answers.items())


def _holdings(state: State) -> dict[NodeId, list[AllocationId]]:
    for node, holdings in state.by_node.items():
        assert bool(holdings) or node in state.nodes
        for identity in holdings.ids():
            assert identity in holdings.of_job(state.allocations[identity].job)
    return {node: holdings.ids() for node, holdings in state.by_node.items()}


def _node_parts(record: NodeRecord) -> tuple[object, ...]:
    free = (record.cpu_free, record.memory_free, record.disk_free)
    shares = (record.cpu_share, record.memory_share, record.load)
    return (record.node, record.number, record.schedulable, free, shares, record.ports, record.tasks)


def _job_parts(record: JobRecord) -> tuple[object, ...]:
    assert record.successor is None or (record.active and not record.job.wanted), f"{record.job.name} need not wait"
    assert record.active or not record.job.stopping, f"{record.job.name} is over"
    return (
        record.job,
        record.refusal,
        record.successor,
        record.slots,
        record.open,
        record.open_count,
        record.active,
    )


def _same(what: str, held: object, meant: object) -> None:
    assert held == meant, f"{what}: the state holds {held!r}, its tables say {meant!r}"
