"""Caddy's configuration, as its admin API takes it (https://caddyserver.com/docs/json/): pure."""

import enum
from collections.abc import Sequence
from typing import Any

import msgspec

from orion.front_door.names import name_of
from orion.front_door.sites import Site

REFRESH = "250ms"  # how long Caddy goes on with addresses: far less than the time that a task drains
DIAL_TIMEOUT = "1s"
TRY_FOR, TRY_AGAIN_AFTER = "5s", "100ms"  # for a task that answers
SHUN_FOR = "2s"  # a task that did not answer
GRACE_PERIOD = "30s"  # for requests under way, when it ends or has another configuration
LOCAL_CA = "local"


class Tls(enum.StrEnum):
    OFF = "off"
    INTERNAL = "internal"  # by a CA of Caddy's own
    ACME = "acme"


class Settings(msgspec.Struct, frozen=True):
    """`resolver` knows the sites' tasks; `admin` is the path of the admin API's socket. `ca` are the paths of a
    certificate and its key, by which INTERNAL signs, instead of one that Caddy makes. `email` and `directory` are
    for ACME, "" for none and for Let's Encrypt.
    """

    resolver: str
    admin: str
    tls: Tls = Tls.INTERNAL
    http_port: int = 80
    https_port: int = 443
    ca: tuple[str, str] | None = None
    email: str = ""
    directory: str = ""


def config(settings: Settings, sites: Sequence[Site]) -> dict[str, Any]:
    port = settings.http_port if settings.tls is Tls.OFF else settings.https_port
    server: dict[str, Any] = {
        "listen": [f":{port}"],
        "routes": [*(_route(settings, site) for site in sites), {"handle": [_nothing_here()], "terminal": True}],
    }
    if settings.tls is Tls.OFF:
        server["automatic_https"] = {"disable": True}
    http = {
        "http_port": settings.http_port,
        "https_port": settings.https_port,
        "grace_period": GRACE_PERIOD,
        "servers": {"door": server},
    }
    apps: dict[str, Any] = {"http": http}
    if settings.tls is not Tls.OFF:
        apps["tls"] = {"automation": {"policies": [{"issuers": [_issuer(settings)]}]}}
        apps["pki"] = {"certificate_authorities": {LOCAL_CA: _authority(settings)}}
    return {"admin": {"listen": f"unix/{settings.admin}", "config": {"persist": False}}, "apps": apps}


def _route(settings: Settings, site: Site) -> dict[str, Any]:
    resolver = {"addresses": [settings.resolver]}
    proxy = {
        "handler": "reverse_proxy",
        "dynamic_upstreams": {
            "source": "srv",
            "name": name_of(site.job),
            "refresh": REFRESH,
            "resolver": resolver,
        },
        "transport": {"protocol": "http", "resolver": resolver, "dial_timeout": DIAL_TIMEOUT},
        "load_balancing": {
            "selection_policy": {"policy": "random"},
            "try_duration": TRY_FOR,
            "try_interval": TRY_AGAIN_AFTER,
        },
        "health_checks": {"passive": {"fail_duration": SHUN_FOR, "max_fails": 1}},
    }
    return {"match": [{"host": list(site.hosts)}], "handle": [proxy], "terminal": True}


def _nothing_here() -> dict[str, Any]:
    return {"handler": "static_response", "status_code": 404, "body": "no job has this host name\n"}


def _issuer(settings: Settings) -> dict[str, Any]:
    if settings.tls is Tls.INTERNAL:
        return {"module": "internal", "ca": LOCAL_CA}
    asked = {"email": settings.email, "ca": settings.directory}
    return {"module": "acme", **{key: value for key, value in asked.items() if value}}


def _authority(settings: Settings) -> dict[str, Any]:
    """The machine's own trust is left alone."""
    if settings.ca is None:
        return {"install_trust": False}
    certificate, key = settings.ca
    root = {"format": "pem_file", "certificate": certificate, "private_key": key}
    return {"install_trust": False, "root": root}
