"""The Csi port by gRPC over Unix sockets (docs/design/csi.md). Importing this package loads neither gRPC nor
protobuf: `GrpcPlugins.open` does.
"""

from orion.adapters.csi.plugins import GrpcPlugins

__all__ = ["GrpcPlugins"]
