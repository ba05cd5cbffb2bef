"""The key that was probably meant by one that is not known."""

from collections.abc import Set as AbstractSet

MAX_HINTED = 256  # characters of a key that are looked at for what may have been meant

# What Compose, Docker, Nomad and Kubernetes call a field, and its names here: the first that is known is meant.
# Both are compared as `_plain` has them.
_ELSEWHERE = {
    "args": ("command",),
    "arguments": ("command",),
    "cmd": ("command",),
    "config": ("configs",),
    "constraint": ("placement", "nodeSelectors"),
    "constraints": ("placement", "nodeSelectors"),
    "containername": ("name",),
    "cores": ("cpu",),
    "cpulimit": ("cpuLimit", "cpu"),
    "cpus": ("cpu",),
    "cron": ("schedule", "expression"),
    "cwd": ("workingDir",),
    "dependson": ("after",),
    "dockerimage": ("image",),
    "environment": ("env",),
    "expose": ("portBindings",),
    "gracetime": ("stopGraceSeconds",),
    "healthcheck": ("healthCheck",),
    "check": ("healthCheck",),
    "id": ("name",),
    "instances": ("count",),
    "killsignal": ("stopSignal",),
    "killtimeout": ("stopGraceSeconds",),
    "livenessprobe": ("healthCheck",),
    "mem": ("memory",),
    "memlimit": ("memoryLimit", "memory"),
    "memorymb": ("memory",),
    "memreservation": ("memory",),
    "addhost": ("extraHosts",),
    "gpus": ("deviceRequests",),
    "ipc": ("ipcMode",),
    "logging": ("logDriver",),
    "logopt": ("logOptions",),
    "memswaplimit": ("memorySwap",),
    "mounts": ("volumes",),
    "networkmode": ("networkMode", "network"),
    "nodeselector": ("nodeSelectors",),
    "number": ("count",),
    "pid": ("pidMode",),
    "ports": ("portBindings",),
    "publish": ("portBindings",),
    "pull": ("pullPolicy",),
    "readinessprobe": ("healthCheck",),
    "replicas": ("count",),
    "restart": ("restartPolicy",),
    "scale": ("count",),
    "stdin": ("stdinOpen",),
    "stopgraceperiod": ("stopGraceSeconds",),
    "stoptimeout": ("stopGraceSeconds",),
    "tz": ("timeZone", "timezone"),
    "type": ("kind",),
    "updateconfig": ("update",),
    "variables": ("env",),
    "workdir": ("workingDir",),
    "workingdirectory": ("workingDir",),
}
# What other systems have and nothing here is meant by.
_ABSENT = {
    "build": "images are built elsewhere, and named by image",
    "links": "jobs find each other's tasks by 'orion endpoints'",
    "secrets": "there are no secrets yet; configs are readable to all who reach a node",
}
_UNITS = ("seconds", "bytes", "ms")  # stand last in a field's name, where other systems leave them out


def meant(key: str, known: AbstractSet[str]) -> str | None:
    """Returns the name of `known` that was probably meant by `key`, if one is near enough."""
    if len(key) > MAX_HINTED:
        return None
    import difflib

    names = {
        elsewhere: next(name for name in here if name in known)
        for elsewhere, here in _ELSEWHERE.items()
        if not known.isdisjoint(here)
    }
    names |= {_plain(name): name for name in known}
    plain = _plain(key)
    for same in (plain, *(plain + unit for unit in _UNITS)):
        if same in names:
            return names[same]
    close = difflib.get_close_matches(plain, list(names), n=1)
    return names[close[0]] if close else None


def absent(key: str) -> str:
    """Returns why there is nothing of the kind that a key of another system names; "" for any other key."""
    return _ABSENT.get(_plain(key[:MAX_HINTED]), "")


def _plain(key: str) -> str:
    """Returns a key without what tells port_bindings from portBindings."""
    return key.replace("_", "").replace("-", "").replace(" ", "").lower()
