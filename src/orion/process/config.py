"""A node's settings as one frozen value, from flags, environment and file. The command line wins over the
environment, which wins over the file; cli/commands/node.py merges them with click.
"""

import msgspec

from orion.model.ids import NodeId
from orion.model.resources import Resources

DOCKER_HOST = "unix:///var/run/docker.sock"


class Tuning(msgspec.Struct, frozen=True):
    """Times and sizes that a user rarely changes. Times are in milliseconds."""

    heartbeat_ms: int = 100
    election_ms: int = 500
    stop_grace_ms: int = 60_000  # a planned stop: how long the cluster waits for the node's return
    dead_voter_grace_ms: int = 10_000  # a dead voter is replaced after this
    max_voters: int = 5
    max_standbys: int = 2
    snapshot_entries: int = 10_000
    snapshot_bytes: int = 8 * 1024 * 1024
    trailing_entries: int = 2_000  # kept behind a snapshot for followers that lag a little


class Config(msgspec.Struct, frozen=True):
    """All settings of a node at its start."""

    node: NodeId
    data_dir: str
    bind: str = "127.0.0.1"
    advertise: str = "127.0.0.1"
    port: int = 8000
    gossip_port: int = 6000
    raft_port: int = 7000
    join: tuple[str, ...] = ()
    bootstrap: bool = False
    network: str = ""  # the value of orion/network that a new cluster begins with; "": none
    labels: tuple[tuple[str, str], ...] = ()
    capacity: Resources | None = None  # what is None or 0 is detected
    pids_limit: int = 4_096  # processes and threads of one container; 0: no limit
    docker_host: str = DOCKER_HOST
    csi_sockets: tuple[str, ...] = ()  # absolute paths
    insecure: bool = False
    log_format: str = "text"  # or json
    tuning: Tuning = Tuning()
