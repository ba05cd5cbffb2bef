"""Commands understood before they are put into a log: what is in one is applied on every node, at each start again.

The rules for what people may ask for are stricter, and elsewhere (model/api/tasks.py). These are for what no
honest node proposes, and what state, its snapshots, the scheduler and the views could not go on with.
"""

import msgspec

from orion.state.commands import AnyCommand, decode_command
from orion.state.core.faults import MAX_MS, outside
from orion.state.tables import COMMANDS


def command_fault(data: bytes) -> str:
    """Why `data` is no command that `apply` may be given; "" when it is one."""
    try:
        command = decode_command(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return str(error)
    return fault_of(command)


def fault_of(command: AnyCommand) -> str:
    """Returns what is wrong with a command, "" when nothing is."""
    return outside("at_ms", command.at_ms, MAX_MS) or COMMANDS[type(command)].fault(command)
