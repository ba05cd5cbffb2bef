"""Nouns of a package, found in its directory: a new one is a new file, and no list has to name it."""

import pkgutil
from importlib import import_module
from types import ModuleType


def nouns_of(package: str, path: list[str]) -> tuple[ModuleType, ...]:
    """The package's modules by name, imported. `path`: its `__path__`; a wheel or a zip file is as good as a
    directory.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(path))
    return tuple(import_module(f"{package}.{name}") for name in names)
