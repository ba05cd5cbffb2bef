"""`orion` with no subcommand: flags, environment and file become a Config, and a node runs.

The server is imported at the very end, so that no other command loads it.
"""

import gc
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from orion.cli.shared.configfile import read_defaults
from orion.cli.shared.types import Address, Host, Label, NodeName, Port, Size
from orion.model.ids import NodeId
from orion.model.resources import Resources
from orion.process.config import DOCKER_HOST, Config

F = TypeVar("F", bound=Callable[..., Any])

_DOCKER_HOSTS = re.compile(r"unix:///.+|(?:tcp|https?)://(?P<host>[^/]+)(?:/.*)?")


def _flag(name: str, **attributes: Any) -> Callable[[F], F]:
    """An option that is also ORION_NAME in the environment and `name` in the file (click's default map)."""
    return click.option(f"--{name}", envvar=f"ORION_{name.upper().replace('-', '_')}", **attributes)


@click.command(
    "node",
    add_help_option=False,
    context_settings={"max_content_width": 110},
)
@_flag(
    "config",
    type=click.Path(),
    is_eager=True,
    callback=read_defaults,
    expose_value=False,
    metavar="FILE",
    help="Read flags from this TOML file.",
)
@_flag("id", type=NodeName(), help="The node's name, unique in the cluster.  [default: the host's name]")
@_flag(
    "bind", type=Host(), default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this address."
)
@_flag("advertise", type=Host(), metavar="ADDRESS", help="What other nodes dial.  [default: the --bind address]")
@_flag("port", type=Port(), default=8000, show_default=True, help="HTTP API (TCP).")
@_flag("gossip-port", type=Port(), default=6000, show_default=True, help="Membership (UDP and TCP).")
@_flag("raft-port", type=Port(), default=7000, show_default=True, help="Node to node (TCP).")
@_flag(
    "join",
    type=Address(),
    multiple=True,
    metavar="HOST:GOSSIP_PORT",
    help="Join the cluster of this node. Repeatable.",
)
@_flag(
    "bootstrap", is_flag=True, help="Start a new cluster. Not with --join; does nothing on a cluster that exists."
)
@_flag(
    "network",
    metavar="RANGE|off",
    help="With --bootstrap: addresses for the cluster's own network.  [default: 10.200.0.0/16 where other machines"
    " reach this node, else off]",
)
@_flag(
    "data-dir",
    type=click.Path(),
    metavar="DIR",
    help="All that the node keeps.  [default: /var/lib/orion/ID as root, else ~/.local/state/orion/ID]",
)
@_flag("label", type=Label(), multiple=True, help="A label that tasks can select. Repeatable.")
@_flag("memory", type=Size(), help="Memory to give to tasks, as in 4g.  [default: the machine's, less a reserve]")
@_flag("cpus", type=float, metavar="CORES", help="Cores to give to tasks, as in 1.5.  [default: the machine's]")
@_flag("disk", type=Size(), help="Disk to give to tasks, as in 100GB.  [default: the machine's, less a reserve]")
@_flag(
    "pids-limit",
    type=click.IntRange(0, 4_194_304),
    default=4_096,
    show_default=True,
    metavar="N",
    help="Processes and threads that one container may have. 0: no limit.",
)
@_flag("docker-host", metavar="URL", help=f"The Docker Engine.  [default: $DOCKER_HOST, else {DOCKER_HOST}]")
@_flag(
    "csi-socket",
    type=click.Path(),
    multiple=True,
    metavar="PATH",
    help="The Unix socket of a storage plugin (CSI), which need not be there yet. Repeatable.",
)
@_flag(
    "log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How its log on standard error is written.",
)
@_flag("insecure", is_flag=True, help="Allow addresses beyond this machine, open to all who reach them.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="")
def node(rest: tuple[str, ...], **flags: Any) -> int:
    """Run a node."""
    if rest:
        raise click.UsageError(
            f"{rest[0]!r} is not a node's flag; a command comes first, as in: orion ps --port 8000"
        )
    config = build_config(**flags)
    # What is loaded stays for good, and looks at it are a tenth of the time to load it. On again in process/daemon.
    gc.disable()
    from orion.process.daemon import run

    return run(config)


def build_config(
    *,
    id: str | None,  # noqa: A002 -- the flag's name
    bind: str,
    advertise: str | None,
    port: int,
    gossip_port: int,
    raft_port: int,
    join: tuple[str, ...],
    bootstrap: bool,
    network: str | None,
    data_dir: str | None,
    label: tuple[tuple[str, str], ...],
    memory: int | None,
    cpus: float | None,
    disk: int | None,
    pids_limit: int,
    docker_host: str | None,
    csi_socket: tuple[str, ...],
    log_format: str,
    insecure: bool,
) -> Config:
    """Returns the Config of the flags. Raises click.UsageError for flags that contradict each other."""
    name = NodeName().convert(id or os.uname().nodename, _param("id"), click.get_current_context(silent=True))
    advertise = advertise or bind
    if bootstrap and join:
        raise click.UsageError(
            f"--bootstrap begins a new cluster, and --join {join[0]} enters one that exists: leave out one of the"
            " two. The first node of a new cluster has --bootstrap, every other one --join"
        )
    _check_reach(bind, advertise, insecure=insecure)
    _check_ports(port, gossip_port, raft_port)
    return Config(
        node=NodeId(name),
        data_dir=str(Path(data_dir or default_data_dir(name)).absolute()),
        bind=bind,
        advertise=advertise,
        port=port,
        gossip_port=gossip_port,
        raft_port=raft_port,
        join=join,
        bootstrap=bootstrap,
        network=_network(network, advertise) if bootstrap else "",
        labels=_labels(label),
        capacity=_capacity(memory, cpus, disk),
        pids_limit=pids_limit,
        docker_host=_docker_host(docker_host),
        csi_sockets=tuple(str(Path(each.removeprefix("unix://")).absolute()) for each in csi_socket),
        insecure=insecure,
        log_format=log_format,
    )


def _param(name: str) -> click.Parameter | None:
    return next((p for p in node.params if p.name == name), None)


def default_data_dir(name: str) -> str:
    if os.geteuid() == 0:
        return f"/var/lib/orion/{name}"
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return str(Path(state).expanduser() / "orion" / name)


def _check_reach(bind: str, advertise: str, *, insecure: bool) -> None:
    if advertise in {"0.0.0.0", "::"}:  # noqa: S104 -- compared, not bound
        raise click.UsageError(f"nobody can dial {advertise}: name this machine's own address with --advertise")
    beyond = [
        f"--{flag} {host}" for flag, host in (("bind", bind), ("advertise", advertise)) if not _loopback(host)
    ]
    if not beyond:
        return
    if not insecure:
        raise click.UsageError(
            f"{' and '.join(beyond)} reaches beyond this machine, where traffic and API would be unencrypted and "
            "open to whoever reaches the ports: add --insecure to accept that, or stay on 127.0.0.1"
        )
    click.echo(
        f"orion: warning: {' and '.join(beyond)} with --insecure: traffic and API are unencrypted and open to "
        "whoever reaches the ports; they can run containers here",
        err=True,
    )


def _network(asked: str | None, advertise: str) -> str:
    from orion.model.settings import NETWORK, OFF, setting_error
    from orion.process.network_range import free_range

    if asked is None:
        return "" if _loopback(advertise) else free_range(advertise)
    if error := setting_error(NETWORK, asked.encode()):
        raise click.UsageError(f"--network: {error}")
    return "" if asked == OFF else asked


def _loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_ports(port: int, gossip_port: int, raft_port: int) -> None:
    if len({port, gossip_port, raft_port}) < 3:
        raise click.UsageError(
            f"--port {port}, --gossip-port {gossip_port} and --raft-port {raft_port} must be three different ports"
        )


def _docker_host(named: str | None) -> str:
    host = named or os.environ.get("DOCKER_HOST") or DOCKER_HOST
    match = _DOCKER_HOSTS.fullmatch(host)
    if not match or (match["host"] and not _dialled(match["host"])):
        where = "--docker-host" if named else "DOCKER_HOST"
        raise click.UsageError(
            f"{host!r} ({where}) is no address of a Docker Engine: write unix:///path/to/docker.sock, "
            "tcp://host:port or https://host:port"
        )
    return host


def _dialled(address: str) -> bool:
    """Returns True when the text is host or host:port."""
    from orion.model.hosts import is_host
    from orion.model.node import address_parts

    try:
        return is_host(address) or bool(address_parts(address))
    except ValueError:
        return False


def _labels(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    labels: dict[str, str] = {}
    for key, value in pairs:
        if labels.setdefault(key, value) != value:
            raise click.UsageError(f"--label {key} is given twice, as {labels[key]!r} and as {value!r}")
    return tuple(sorted(labels.items()))


def _capacity(memory: int | None, cpus: float | None, disk: int | None) -> Resources | None:
    """Returns the capacity of the flags. In it 0 means: detect this part. Returns None when all parts are
    detected.
    """
    for flag, value in (("memory", memory), ("cpus", cpus), ("disk", disk)):
        if value is not None and not value > 0:
            raise click.UsageError(f"--{flag} must be more than 0")
    if memory is None and cpus is None and disk is None:
        return None
    return Resources(round((cpus or 0) * 1000), memory or 0, disk or 0)
