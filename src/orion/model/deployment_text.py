"""Words for the end of a deployment."""

from orion.model.deployment import DeploymentKind, DeploymentState

_CHANGES = {
    DeploymentKind.DEPLOY.value: "update to version {version}",
    DeploymentKind.SCALE.value: "scaling",
    DeploymentKind.RESTART.value: "restart",
    DeploymentKind.ROLLBACK.value: "rollback to version {version}",
}
_ENDS = {
    DeploymentState.DONE.value: "is done",
    DeploymentState.ROLLED_BACK.value: "was rolled back",
    DeploymentState.PAUSED.value: "is paused",
    DeploymentState.FAILED.value: "failed",
    DeploymentState.SUPERSEDED.value: "was overtaken",
}


def end_text(kind: str, version: int, state: str, reason: str) -> str:
    """As in update to version 3 was rolled back: web/0 on node2 failed."""
    return _because(f"{_change(kind, version)} {_ENDS[state]}", reason)


def way_back_text(kind: str, version: int, reason: str) -> str:
    """Says so of one that is on its way back."""
    return _because(f"{_change(kind, version)} is rolled back", reason)


def _change(kind: str, version: int) -> str:
    return _CHANGES[kind].format(version=version)


def _because(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words
