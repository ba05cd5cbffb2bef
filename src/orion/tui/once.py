"""`orion top --once`: the pulse of the cluster now, as text for scripts."""

import time
from collections.abc import Callable

from orion.client import Client
from orion.client.watch import Current
from orion.model.errors import Unavailable
from orion.tui.lines import text_of
from orion.tui.store import Store
from orion.tui.texts.pulse import Pulse, leader_address, measure
from orion.tui.texts.pulse_lines import pulse_lines

WIDTH = 120


def once(client: Client, *, width: int = WIDTH, connect: Callable[..., Client] = Client) -> str:
    """Returns a snapshot of the pulses. Raises OrionError where the node that is asked does not answer."""
    store, pulse = Store(), Pulse()
    for told in client.watch():
        store.take(told, time.monotonic())
        if isinstance(told, Current):
            break
    else:
        raise Unavailable(f"{client.address} ended the stream before it had told all")
    pulse.take(measure(client, leader_address(store), connect), store)
    return "".join(f"{text_of(line).rstrip()}\n" for line in pulse_lines(store, pulse, width, live=False))
