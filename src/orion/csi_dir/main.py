"""`orion-csi-dir`: the plugin's program."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from orion import __version__
from orion.csi_dir.checks import NO_QUOTA, QUOTAS
from orion.csi_dir.controller import Controller
from orion.csi_dir.identity import Identity
from orion.csi_dir.node import Node
from orion.csi_dir.records import NodeRecord
from orion.csi_dir.server import methods_of, serve
from orion.csi_dir.store import Store

log = logging.getLogger("csi-dir")
MAX_NODE_ID_BYTES = 256  # CSI's own limit


def main(words: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s")
    services: list[object] = []
    try:
        store = Store(asked.root.resolve())
        services.append(Identity(store, __version__))
        if not asked.no_controller:
            services.append(Controller(store, asked.pool, asked.quota))
        if not asked.no_node:
            services.append(Node(store, NodeRecord(asked.node_id, asked.max_volumes), asked.pool))
        asked.socket.parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(_run(asked.socket, services))
    except OSError as error:
        sys.stderr.write(f"orion-csi-dir: {error}\n")
        return 1
    return 0


async def _run(socket: Path, services: Sequence[object]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await serve(socket, methods_of(*services), ended)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="orion-csi-dir",
        description="A CSI plugin whose volumes are directories under a root, which several nodes may share.",
    )
    add = parser.add_argument
    add("--socket", type=Path, default=_socket(), help="a Unix socket (CSI_ENDPOINT, else %(default)s)")
    add("--root", type=Path, required=True, help="where volumes and snapshots are kept")
    node = os.environ.get("CSI_NODE_ID") or os.uname().nodename
    add("--node-id", type=_node_id, default=node, help="this node's name (CSI_NODE_ID, else %(default)s)")
    add("--pool", default="default", help="nodes with the same pool have the same root (%(default)s)")
    add("--max-volumes", type=_count, default=0, metavar="N", help="the most on this node (0: no limit)")
    quota = "how sizes are kept: loop has each volume be a file with a file system (%(default)s: not at all)"
    add("--quota", choices=QUOTAS, default=NO_QUOTA, help=quota)
    add("--no-controller", action="store_true", help="serve this node alone")
    add("--no-node", action="store_true", help="make and remove volumes alone")
    add("--version", action="version", version=__version__)
    return parser


def _socket() -> Path:
    """CSI_ENDPOINT is how other orchestrators tell a plugin: unix:///path, or unix://path."""
    return Path(os.environ.get("CSI_ENDPOINT", "/csi/csi.sock").removeprefix("unix://"))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 or more")
    return int(text)


def _node_id(text: str) -> str:
    if not text or len(text.encode()) > MAX_NODE_ID_BYTES or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no node's name: 1 to {MAX_NODE_ID_BYTES} bytes that can be shown"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
