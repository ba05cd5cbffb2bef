"""A row as YAML."""

from orion.tui.screens.describe import Yaml

__all__ = ["Yaml"]
