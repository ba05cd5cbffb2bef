"""Actions that take the app for themselves: a shell, a port, a node that is stopped once it is empty."""

import asyncio
import contextlib
from functools import partial

from orion.client import Client
from orion.model.api.nodes import NodeView
from orion.model.api.watch import Noun
from orion.model.counts import several
from orion.model.errors import Refused
from orion.model.hosts import forwarded_ports
from orion.tui.actions.action import Stage
from orion.tui.actions.questions import drain_stop as ask_drain_stop
from orion.tui.actions.questions import drain_volumes as ask_drain_volumes
from orion.tui.actions.questions import volumes_on
from orion.tui.actions.terminal import give_terminal, shell_words
from orion.tui.actions.wishes import PORTS
from orion.tui.screens.confirm import Ask, Confirm
from orion.tui.texts.asking import task_of

LOOK_S = 0.3
EMPTY_S = 3600.0  # the longest wait for a node to have no task left


async def shell(stage: Stage, noun: Noun, key: str) -> None:
    task = task_of(stage.cluster.store, noun, key)
    code, words = give_terminal(stage.app, shell_words(stage.cluster.address, task), errors=True)
    if code and words:
        stage.tell(words.splitlines()[-1], True)


async def port_forward(stage: Stage, noun: Noun, key: str) -> None:
    store = stage.cluster.store
    task = task_of(store, noun, key)
    asking = Ask(f"Which port of {task}?", PORTS.first(store, task), PORTS.check, PORTS.hint)
    wished = await stage.app.push_screen_wait(asking)
    if wished is None:
        return
    client = await stage.cluster.ask(lambda asked: asked.again())
    loop = asyncio.get_running_loop()

    def tell(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # the app has ended
            loop.call_soon_threadsafe(stage.tell, text, True)

    ((here, port),) = stage.forwards.begin(client, task, forwarded_ports(wished), tell).ports
    stage.tell(f"127.0.0.1:{here} is port {port} of {task}, until orion top ends; :forwards lists them", False)


async def drain_stop(stage: Stage, noun: Noun, key: str) -> None:
    """Drains a node, and stops it once it has no task left. Raises Refused when that takes an hour."""
    del noun
    question = ask_drain_stop(stage.cluster.store, key, "")
    if not await stage.app.push_screen_wait(Confirm(question.title, question.lines, question.yes)):
        return
    await stage.cluster.ask(lambda client: client.drain(key))
    stage.tell(f"{key} gets no more work, and stops once it has none left", False)
    await until_empty(stage, key)
    await stage.cluster.ask(lambda client: client.stop_node(key))
    stage.tell(f"{key} stops", False)


async def until_empty(stage: Stage, node: str) -> None:
    """Raises Refused where somebody has made the node ready meanwhile, it is gone, or takes too long."""
    deadline = asyncio.get_running_loop().time() + EMPTY_S
    drained = False
    while True:
        row = stage.cluster.store.tables[Noun.NODES].get(node)
        if not isinstance(row, NodeView) or row.status in ("dead", "left"):
            raise Refused(f"{node} is not there any more")
        drained = drained or row.status in ("draining", "drained")
        if drained and row.status not in ("draining", "drained", "suspect"):
            raise Refused(f"{node} was made ready meanwhile, and is not stopped")
        if row.status == "drained" and not row.tasks:
            return
        if asyncio.get_running_loop().time() >= deadline:
            raise Refused(f"{node} still has {several(row.tasks, 'task')} after an hour, and is not stopped")
        await asyncio.sleep(LOOK_S)


async def drain_volumes(stage: Stage, noun: Noun, key: str) -> None:
    """Drains a node, with its volumes."""
    del noun
    store = stage.cluster.store
    question = ask_drain_volumes(store, key, "")
    if not await stage.app.push_screen_wait(Confirm(question.title, question.lines, question.yes)):
        return
    names = [volume.name for volume in volumes_on(store, key)]
    await stage.cluster.ask(lambda client: client.drain(key))
    for name in names:
        await stage.cluster.ask(partial(_move, name))
    stage.tell(f"{key} gets no more work; its volumes are on their way: {', '.join(names) or 'it has none'}", False)


def _move(name: str, client: Client) -> None:
    client.move_volume(name)
