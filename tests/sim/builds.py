"""Two versions of orion in one process: this one, and a newer one whose modules are loaded beside it.

What the simulator shares with a node (ports, Raft, the wire, errors, what the API shows) is the same for both, and
so are enums, which are compared by identity; all else is loaded a second time from the newer build's sources.
"""

import ast
import functools
import importlib
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from support import newer

_SHARED = (
    "orion.model.api",
    "orion.model.container",
    "orion.model.csi",
    "orion.model.dns",
    "orion.model.errors",
    "orion.model.events",
    "orion.model.firewall",
    "orion.model.folders",
    "orion.model.guard",
    "orion.model.health",
    "orion.model.ids",
    "orion.model.ingress",
    "orion.model.logs",
    "orion.model.overlay",
    "orion.model.placement",
    "orion.model.reach",
    "orion.model.resources",
    "orion.model.schedule",
    "orion.model.secret_values",
    "orion.model.storage",
    "orion.model.update",
    "orion.model.volumes",
    "orion.node.rpc.reads",
    "orion.ports",
    "orion.process",
    "orion.raft",
    "orion.reconcile.overlay",
    "orion.wire",
)
_OWN = (
    "orion.model.api.codec",
    "orion.model.api.job_codec",
    "orion.model.api.storage_codec",
)  # make records of what the API takes
_FORMER = "former_orion"  # under which the newer build's modules find this one's


class Build:
    """One version. `module` finds its modules by their names."""

    def __init__(self, name: str, modules: dict[str, ModuleType]) -> None:
        self.name = name
        self._modules = modules
        self.version = self.module("orion").__version__
        self.Node = self.module("orion.node.node").Node
        self.State = self.module("orion.state.tables").State
        self.apply = self.module("orion.state.apply").apply
        self.check = self.module("orion.state.check").check
        self.state_hash = self.module("orion.state.check").state_hash
        self.capture = self.module("orion.state.snapshot").capture
        self.hash_of = self.module("orion.state.check").hash_of
        self.encode_command = self.module("orion.state.commands").encode_command
        self.decode_command = self.module("orion.state.commands").decode_command
        self._commands = {kind.__name__: kind for kind in self.module("orion.state.tables").COMMANDS}
        self.level: int = self.module("orion.model.levels").LEVEL

    def module(self, name: str) -> ModuleType:
        return self._modules[name]

    def command(self, name: str) -> type:
        """Its command of this name."""
        return self._commands[name]


class _Present(Build):
    def module(self, name: str) -> ModuleType:
        return importlib.import_module(name)


PRESENT = _Present("present", {})


@functools.cache
def newer_build() -> Build:
    with tempfile.TemporaryDirectory(prefix="orion-newer-") as root:
        source = newer.write(Path(root))
        for path in source.rglob("*.py"):
            _share_enums(source, path)
        return Build("newer", _loaded(source))


def _loaded(source: Path) -> dict[str, ModuleType]:
    importlib.import_module("orion.node.node")
    importlib.import_module("orion.state.check")
    former = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "orion"}
    kept = {name: module for name, module in former.items() if _is_shared(name)}
    for name, module in former.items():
        del sys.modules[name]
        sys.modules[_FORMER + name.removeprefix("orion")] = module
    sys.modules.update(kept)
    sys.path.insert(0, str(source))
    try:
        importlib.import_module("orion.node.node")
        importlib.import_module("orion.state.check")
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "orion"}
    finally:
        sys.path.remove(str(source))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("orion", _FORMER)]:
            del sys.modules[name]
        sys.modules.update(former)


def _is_shared(name: str) -> bool:
    return name not in _OWN and any(name == shared or name.startswith(f"{shared}.") for shared in _SHARED)


def _share_enums(source: Path, path: Path) -> None:
    """Put this build's enums in the place of those that the module defines."""
    text = path.read_text()
    enums = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("enum.") for base in node.bases)
    ]
    module = ".".join(path.relative_to(source).with_suffix("").parts)
    if not enums or _is_shared(module):
        return
    lines = text.splitlines(keepends=True)
    for node in reversed(enums):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        former = _FORMER + module.removeprefix("orion")
        lines[first - 1 : node.end_lineno] = [f"from {former} import {node.name}\n"]
    path.write_text("".join(lines))
