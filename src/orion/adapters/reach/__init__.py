"""The Reach port on sockets."""

from orion.adapters.reach.adapter import SocketReach

__all__ = ["SocketReach"]
