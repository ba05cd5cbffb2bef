"""Transport between nodes over TCP. It has three lanes, each with its own connections: raft (messages one way, best
effort), call (many at a time over one connection, each with a deadline) and stream (a connection each, paced by
TCP).
"""

from orion.adapters.peers.tcp import TcpPeers

__all__ = ["TcpPeers"]
