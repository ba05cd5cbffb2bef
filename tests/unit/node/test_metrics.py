"""/metrics of whole nodes, as a scraper reads it."""

import pytest
from cluster_kit import run
from test_raft_driver import drain, outcome

from orion.api.routes.cluster import metrics_text
from orion.model.api.tasks import TaskRequest
from orion.model.figures import gauge
from orion.model.resources import MIB
from orion.node.views.metrics import Metrics
from sim.engine import FOREVER

NAMES = [
    "orion_engine_up",
    "orion_gossip_members",
    "orion_jobs",
    "orion_machine_cpu_cores_used",
    "orion_machine_memory_used_bytes",
    "orion_nodes",
    "orion_raft_applied_index",
    "orion_raft_commit_index",
    "orion_raft_commit_seconds_total",
    "orion_raft_commits_total",
    "orion_raft_disk_bytes",
    "orion_raft_has_leader",
    "orion_raft_is_leader",
    "orion_raft_last_index",
    "orion_raft_snapshot_index",
    "orion_raft_term",
]


def scraped(machine):
    """Sample -> value, as Prometheus reads it from the text."""
    samples = {}
    for line in metrics_text(machine.node.service.metrics()).splitlines():
        if not line.startswith("#"):
            sample, value = line.rsplit(" ", 1)
            assert sample not in samples
            samples[sample] = float(value)
    return samples


def worker_of(nodes):
    conf = nodes.leader.node.driver.raft.conf
    return next(m for m in nodes.machines if m.raft not in (*conf.voters, *conf.learners))


def test_every_node_gives_every_figure_once_with_its_type_and_help():
    async def main(nodes):
        for machine in nodes.machines:
            lines = metrics_text(machine.node.service.metrics()).splitlines()
            for kind in ("# HELP", "# TYPE"):
                assert [line.split()[2] for line in lines if line.startswith(kind)] == NAMES
            kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
            assert kinds == {name: "counter" if name.endswith("_total") else "gauge" for name in NAMES}
            assert {sample.partition("{")[0] for sample in scraped(machine)} == set(NAMES)

    run(main, count=8, voters=5)


def test_raft_figures_are_those_of_the_core_and_the_log():
    async def main(nodes):
        for machine in nodes.machines:
            driver, samples = machine.node.driver, scraped(machine)
            status = driver.raft.status()
            figures = {name.removeprefix("orion_raft_"): value for name, value in samples.items()}
            assert figures["term"] == status.term > 0
            assert figures["commit_index"] == status.commit > 0
            assert figures["applied_index"] == driver.applied_index > 0
            assert figures["snapshot_index"] == status.snapshot_index
            assert figures["last_index"] == status.last_index > 0
            assert figures["disk_bytes"] == driver.disk_bytes() > 0
            assert figures["has_leader"] == 1
            assert figures["is_leader"] == (machine is nodes.leader)

    run(main)


def test_commits_are_counted_where_they_were_proposed_with_the_time_that_they_took():
    async def main(nodes):
        leader = nodes.leader
        before = scraped(leader)
        for number in range(3):
            await leader.node.driver.propose(drain(number))
        after = scraped(leader)
        assert after["orion_raft_commits_total"] >= before["orion_raft_commits_total"] + 3
        assert after["orion_raft_commit_seconds_total"] > before["orion_raft_commit_seconds_total"]
        others = [scraped(machine) for machine in nodes.machines if machine is not leader]
        assert {each["orion_raft_commits_total"] for each in others} == {0}

    run(main)


def test_figures_follow_the_state_gossip_and_the_engine():
    async def main(nodes):
        leader = nodes.leader
        before = scraped(leader)
        assert (before["orion_jobs"], before["orion_nodes"], before["orion_engine_up"]) == (0, 3, 1)
        assert before['orion_gossip_members{state="alive"}'] == 3
        assert 100 * MIB <= before["orion_machine_memory_used_bytes"] < 900 * MIB, "as the machine says"
        assert 0 < before["orion_machine_cpu_cores_used"] < 2
        request = TaskRequest(image=FOREVER, name="web")
        question = leader.node.service.create_task(request, idempotency_key="", timeout_s=10, wait_running_s=0)
        leader.run.process.spawn(question)
        await nodes.until(lambda: scraped(leader)["orion_jobs"] == 1)
        next(m for m in nodes.machines if m is not leader).kill()
        await nodes.until(lambda: scraped(leader).get('orion_gossip_members{state="dead"}') == 1)
        assert scraped(leader)['orion_gossip_members{state="alive"}'] == 2
        leader.engine.go_down(containers_die=False)
        await nodes.until(lambda: scraped(leader)["orion_engine_up"] == 0)

    run(main)


def test_a_worker_has_no_state_and_knows_no_leader():
    async def main(nodes):
        samples = scraped(worker_of(nodes))
        names = "jobs", "nodes", "raft_applied_index", "raft_is_leader", "raft_has_leader"
        assert {samples[f"orion_{name}"] for name in names} == {0}

    run(main, count=8, voters=5)


@pytest.mark.parametrize("order", [1, -1])
def test_rooms_are_gathered_by_name(order):
    rooms = [lambda: (gauge("b", "of one room", 1),), lambda: [gauge("a", "of another", 2), gauge("c", "its", 3)]]
    assert [figure.name for figure in Metrics(rooms[::order]).collect()] == ["a", "b", "c"]


def test_what_is_not_committed_is_in_the_log_and_no_further():
    async def main(nodes):
        leader = nodes.leader
        await nodes.until(lambda: scraped(leader)["orion_raft_applied_index"] == leader.node.driver.raft.last_index)
        before = scraped(leader)
        nodes.isolate(leader)
        leader.run.process.spawn(outcome(leader.node.driver.propose(drain(1))))
        await nodes.until(lambda: scraped(leader)["orion_raft_last_index"] > before["orion_raft_last_index"], 1)
        after = scraped(leader)
        for name in ("commit_index", "applied_index", "snapshot_index"):
            assert after[f"orion_raft_{name}"] == before[f"orion_raft_{name}"]
        await nodes.until(lambda: not leader.node.driver.is_leader)
        assert (scraped(leader)["orion_raft_is_leader"], scraped(leader)["orion_raft_has_leader"]) == (0, 0)

    run(main)
