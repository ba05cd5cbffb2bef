"""The calls of a plugin, by their names: their paths in gRPC, and what they carry there and back."""

from typing import NamedTuple

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from orion.wire.csi import csi_pb2


class Method(NamedTuple):
    service: str
    path: str
    request: type[Message]
    reply: type[Message]


METHODS = {
    method.name: Method(
        service.name,
        f"/{service.full_name}/{method.name}",
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
    )
    for service in csi_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
