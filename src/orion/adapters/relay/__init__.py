"""Connections by IPv6, passed on by this process."""

from orion.adapters.relay.relay import SocketRelay

__all__ = ["SocketRelay"]
