"""All of this room together: has the storage plugins of a node followed, and its tasks given volumes."""

import asyncio
from collections.abc import Callable, Collection

from orion.model.ids import NodeId
from orion.model.labels import Pairs
from orion.model.storage import NodePlugin
from orion.node.agent.agent import Agent
from orion.node.agent.assignments import AssignmentWatcher
from orion.node.routing.forward import Forward
from orion.node.rpc.registry import Registry
from orion.node.volumes.controller_calls import ControllerCalls
from orion.node.volumes.labels import node_plugins, plugin_labels
from orion.node.volumes.node_volumes import NodeVolumes
from orion.node.volumes.plugins import Plugins
from orion.node.volumes.storage_calls import StorageCalls
from orion.node.volumes.task_volumes import TaskVolumes
from orion.ports.storage import StoragePorts


class NodeStorage:
    """`on_change` is called when the plugins have changed."""

    def __init__(
        self,
        *,
        me: NodeId,
        ports: StoragePorts,
        sockets: Collection[str],
        source: AssignmentWatcher,
        agent: Agent,
        forward: Forward,
        registry: Registry,
        on_change: Callable[[], None],
    ) -> None:
        self.plugins = Plugins(ports.plugins)
        self.plugins.follow(sockets)
        self.plugins.on_change.append(on_change)
        self._calls = ControllerCalls(plugins=self.plugins, forward=forward, registry=registry)
        StorageCalls(controllers=self._calls, forward=forward, registry=registry)
        self._volumes = NodeVolumes(self.plugins, ports.mounts, ports.records)
        self.tasks = TaskVolumes(
            me=me,
            source=source,
            agent=agent,
            volumes=self._volumes,
            forward=forward,
            registry=registry,
            secrets=self._calls.secrets,
        )

    @property
    def labels(self) -> Pairs:
        return plugin_labels(self.plugins.states())

    def told(self) -> tuple[NodePlugin, ...]:
        """The plugins as the cluster is told of them."""
        return node_plugins(self.plugins.states())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.plugins.run(), name="plugins")
            group.create_task(self._volumes.run(), name="node-volumes")
            group.create_task(self.tasks.run(), name="task-volumes")
