"""Few containers are asked for these: they are loaded when one is."""

from contextlib import AbstractAsyncContextManager

from orion.adapters.docker.connection import Connection
from orion.model.sessions import Purpose
from orion.ports.engine import EngineSession


def session(
    connection: Connection, container: str, purpose: Purpose, *, local: bool
) -> AbstractAsyncContextManager[EngineSession]:
    from orion.adapters.docker.sessions import open_session

    return open_session(connection, container, purpose, local=local)


def answer_arp(address: str, mac: str) -> None:
    from orion.adapters.docker.arp import answer_for

    answer_for(address, mac)
