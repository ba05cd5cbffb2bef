"""apply: the only door through which state changes.

**Invariant:** deterministic. Times and randomness come inside the command, a refused command changes nothing
(but that its answer may be remembered), and nothing is raised for what a command says; only for one that can't be
understood at all.
"""

import msgspec

from orion.model.errors import Unreadable
from orion.state.commands import AnyCommand, decode_command
from orion.state.core.step import Applied, Step
from orion.state.tables import COMMANDS, State


def apply(state: State, index: int, command: bytes | AnyCommand) -> Applied:
    """Apply the entry at `index`, which is past all that were applied before. Empty bytes (a new leader's first
    entry) change nothing.

    Raises Unreadable for bytes that are no command this version knows. To skip it would part this node's state
    from that of the others, so the node must stop. Outdated, for the same reason, when it raises the cluster to a
    level that this build does not know.
    """
    assert index > state.index, f"entry {index} was applied before: the state is at {state.index}"
    if isinstance(command, bytes):
        if not command:
            state.index = index
            return Applied(None)
        try:
            command = decode_command(command)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreadable(f"log entry {index} holds no command that this version knows ({error})") from error
    state.index = index
    step = Step(index, command.at_ms)
    result = COMMANDS[type(command)].apply(state, step, command)
    return Applied(result, tuple(step.events))
