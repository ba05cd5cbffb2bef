"""A node's API as typed methods, a file a noun."""

from orion.client.cluster import Cluster
from orion.client.configs import Configs
from orion.client.cron import Cron
from orion.client.endpoints import Endpoints
from orion.client.history import History
from orion.client.inside import Inside
from orion.client.jobs import Jobs
from orion.client.logs import Logs
from orion.client.network import Network
from orion.client.nodes import Nodes
from orion.client.plugins import Plugins
from orion.client.rebalance import Rebalance
from orion.client.storage import Storage
from orion.client.tasks import Tasks
from orion.client.volumes import Volumes
from orion.client.watch import Watch


class Client(
    Tasks,
    Jobs,
    Cron,
    Endpoints,
    History,
    Logs,
    Inside,
    Configs,
    Nodes,
    Cluster,
    Rebalance,
    Network,
    Volumes,
    Storage,
    Plugins,
    Watch,
):
    """A node's API. `address`: host:port, or several separated by commas, of which the first that answers is asked.
    `timeout_s`: how long the node may try to answer.

    Keeps one connection open between requests; not to be used by several threads at once. All methods raise
    OrionErrors. Reads are linearizable; `stale` ones answer at once from the node's own state.
    """
