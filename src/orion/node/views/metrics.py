"""Figures for Prometheus, taken from what is there; nothing is counted twice."""

from collections import Counter

from orion.node.agent.agent import Agent
from orion.node.consensus.driver import RaftDriver
from orion.node.membership.directory import Directory
from orion.ports.machine import Machine
from orion.raft.interface import Role


class Metrics:
    def __init__(self, *, driver: RaftDriver, directory: Directory, agent: Agent, machine: Machine) -> None:
        self._driver = driver
        self._directory = directory
        self._agent = agent
        self._machine = machine

    def collect(self) -> dict[str, float]:
        """Sample name, with labels if any -> value."""
        driver, status = self._driver, self._driver.raft.status()
        usage = self._machine.usage()
        figures: dict[str, float] = {
            "orion_raft_term": status.term,
            "orion_raft_commit_index": status.commit,
            "orion_raft_applied_index": driver.applied_index,
            "orion_raft_snapshot_index": status.snapshot_index,
            "orion_raft_last_index": status.last_index,
            "orion_raft_is_leader": status.role is Role.LEADER,
            "orion_raft_has_leader": bool(status.leader),
            "orion_raft_disk_bytes": driver.disk_bytes(),
            "orion_jobs": driver.view.job_count(),
            "orion_nodes": len(driver.view.nodes()),
            "orion_engine_up": not self._agent.engine_down,
            "orion_machine_cpu_cores_used": usage.cpu_cores,
            "orion_machine_memory_used_bytes": usage.memory_bytes,
        }
        members = Counter(seen.member.state for seen in self._directory.all_seen())
        for state, count in sorted(members.items()):
            figures[f'orion_gossip_members{{state="{state}"}}'] = count
        return figures
