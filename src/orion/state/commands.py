"""Replicated commands as bytes. What there are, the nouns' files in tables/ declare."""

from typing import Union

import msgspec

from orion.state.core.command import Command
from orion.state.core.encoding import LeveledEncoder
from orion.state.tables import COMMANDS

AnyCommand = Command

_encoder = LeveledEncoder()
_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(Union[*COMMANDS])


def encode_command(command: AnyCommand) -> bytes:
    """At the least level at which nothing of it is lost."""
    return _encoder.encode_least(command)


def decode_command(data: bytes) -> AnyCommand:
    """Raises msgspec.DecodeError or ValidationError for anything that is not a command."""
    return _decoder.decode(data)
