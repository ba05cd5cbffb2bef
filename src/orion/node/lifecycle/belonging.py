"""The cluster that this node belongs to, and signs that it is another one than this node thought."""

import logging
from collections.abc import Callable

import msgspec

from orion.model.container import Container
from orion.model.ids import NodeId
from orion.model.recovery import is_newer
from orion.node.agent import leftovers
from orion.node.consensus.driver import RaftDriver
from orion.node.lifecycle.outcast import Outcast
from orion.node.membership.directory import Directory
from orion.node.routing.submit import Submitted
from orion.ports.log import Identity, LogStore
from orion.ports.peers import Peers
from orion.process.config import Config

log = logging.getLogger(__name__)


class Belonging:
    """`on_newer_recovery` is told who greets as of a later recovery of this cluster, `on_change` that `identity` is
    another: whoever hears it writes it to the disk.
    """

    def __init__(
        self,
        *,
        config: Config,
        identity: Identity,
        driver: RaftDriver,
        directory: Directory,
        peers: Peers,
        outcast: Outcast,
        on_newer_recovery: Callable[[NodeId, int], None],
        on_change: Callable[[], None],
    ) -> None:
        self._config = config
        self._driver = driver
        self._directory = directory
        self._peers = peers
        self._outcast = outcast
        self._on_newer_recovery = on_newer_recovery
        self._on_change = on_change
        self.identity = identity
        self.loaded_index = 0  # the end of the log at the start: what it says is known once it is applied

    def tell(self) -> None:
        """Tells peers and gossip which cluster to be of."""
        cluster, recovery = self.identity.cluster, self.identity.recovery
        self._directory.cluster, self._directory.recovery = cluster, recovery
        if cluster:
            self._peers.set_cluster(cluster, recovery)

    async def note_address(self, address: str, store: LogStore) -> None:
        """Remembers on the disk where this node is reached."""
        if self.identity.address != address:
            self.identity = msgspec.structs.replace(self.identity, address=address)
            await store.set_identity(self.identity)

    def registered(self, submitted: Submitted) -> None:
        if submitted.cluster and not self.identity.cluster:
            self._become(submitted.cluster, submitted.recovery)

    def _become(self, cluster: int, recovery: int) -> None:
        self.identity = msgspec.structs.replace(self.identity, cluster=cluster, recovery=recovery)
        self.tell()
        self._on_change()

    def met_a_stranger(self, node: NodeId, cluster: int, recovery: int) -> None:
        """A peer that knows this node's address and is of another cluster, or of this one across a recovery."""
        if cluster == self.identity.cluster:
            if is_newer(recovery, self.identity.recovery):
                self._on_newer_recovery(node, recovery)
        elif self._config.bootstrap and self._is_alone():
            self._outcast.cast_out(
                f"this node began a cluster of its own (--bootstrap), but {node} is of another one that knows this"
                f" node: its disk was lost, it seems. Move {self._config.data_dir} away and start it with --join"
                f" and the gossip address of {node} in place of --bootstrap; it comes back as a new member. If it"
                " is to be a cluster of its own: start it as it is, without --bootstrap"
            )

    def found_leftovers(self, containers: list[Container]) -> None:
        config = self._config
        for cluster, theirs in leftovers.by_cluster(containers).items():
            mine = leftovers.started_by(config.node, theirs)
            if mine and config.bootstrap and self._is_alone() and not self._driver.view.jobs():
                self._outcast.cast_out(leftovers.outcast(config, cluster, mine))
            else:
                log.warning("%s", leftovers.told(config, cluster, theirs))

    def _is_alone(self) -> bool:
        """Nobody else is of its cluster, as far as its log goes."""
        nodes = self._driver.view.nodes()
        return self._driver.applied_index >= self.loaded_index and all(n.id == self._config.node for n in nodes)

    def was_left_behind(self, node: NodeId, recovery: int) -> None:
        """The cluster was recovered from a lost quorum while this node was away. What has never followed the log
        can go along; a log may hold what the others have lost, and votes of an old configuration.
        """
        status = self._driver.raft.status()
        if status.last_index or status.term:
            self._outcast.cast_out(
                f"the cluster was recovered from a lost quorum without this node: {node} has gone on, and what is"
                f" in {self._config.data_dir} has no place there. Move that directory away and start this node"
                " again with --join; it comes back as a new member. If that recovery was a mistake: stop"
                f" {node}, and start this node and the others as they are"
            )
        else:
            log.info("%s has gone through a recovery of the cluster: this node goes along", node)
            self._become(self.identity.cluster, recovery)
