"""Commands from elsewhere, understood before they are put into a log."""

import msgspec

from orion.state.commands import decode_command


def command_fault(data: bytes) -> str:
    """Why `data` is no command that `apply` may be given; "" when it is one."""
    try:
        decode_command(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return str(error)
    return ""
