"""What the leader decides, and what becomes of it."""

from cluster_kit import run

from orion.model.node import NodeStatus
from orion.node import raft_driver


def status(nodes, machine):
    return nodes.leader.node.driver.view.node(machine.config.node).status


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_a_decision_that_the_log_can_not_take_is_told_as_an_error(caplog, monkeypatch):
    async def main(nodes):
        gone = next(m for m in nodes.machines if m is not nodes.leader)
        monkeypatch.setattr(raft_driver, "MAX_COMMAND_BYTES", 10)
        gone.kill()
        await nodes.until(lambda: errors(caplog))
        text = errors(caplog)[0]
        assert text.startswith("a decision can't be committed: a command of ")
        assert "is over the limit of 10; it was SetNodeStatus(at_ms=" in text
        monkeypatch.undo()
        await nodes.until(lambda: status(nodes, gone) is NodeStatus.DOWN)

    run(main)
