"""Words for those who type commands of Docker, Compose, Swarm, Kubernetes and Nomad."""

_MEANT = {
    "deploy FILE": ("apply", "up", "compose", "stack", "create"),
    "ps": ("get", "list", "ls", "pods", "tasks", "container", "containers", "alloc"),
    "jobs": ("service", "services", "status"),
    "rm NAME": ("delete", "down", "kill", "purge", "remove", "undeploy"),
    "inspect TASK": ("describe", "show", "why"),
    "logs -f TASK": ("attach", "tail"),
    "deployments": ("deployment", "rollout"),
    "rollback JOB": ("revert", "undo"),
    "nodes": ("info", "node"),
    "drain NODE": ("cordon",),
    "ready NODE": ("uncordon",),
    "exec -it TASK sh": ("shell", "sh", "ssh"),
    "config": ("configs", "configmap", "secret", "secrets", "var"),
    "network ls": ("networks",),
    "volume ls": ("volumes",),
    "plugin ls": ("plugins",),
    "--bootstrap": ("init", "swarm"),
    "--join HOST:GOSSIP_PORT": ("join",),
}
_HERE = {other: here for here, others in _MEANT.items() for other in others}
_NOT_HERE = {
    **dict.fromkeys(("build", "push", "commit", "tag"), "images are made elsewhere, as with 'docker build'"),
    **dict.fromkeys(("pull", "image", "images"), "nodes pull images by themselves, when a task needs them"),
}


def hint(word: str) -> str:
    """Returns what somebody who types a command of another tool is told; "" when it is none."""
    if word in _HERE:
        return f"here it is 'orion {_HERE[word]}'"
    return _NOT_HERE.get(word, "")
