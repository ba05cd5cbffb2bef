"""The keeper: a small process beside the node's, which ends containers whose time has not been renewed."""

from orion.adapters.keeper.adapter import KeeperProcess

__all__ = ["KeeperProcess"]
