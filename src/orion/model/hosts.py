"""Hosts that may be dialled: an IP address or a DNS name."""

import re

from orion.model.errors import Refused

MAX_HOST = 253
_NAME = r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?"


def is_host(text: str) -> bool:
    """Returns True for an IPv4 address, a DNS name, or an IPv6 address without brackets."""
    if ":" not in text:
        return len(text) <= MAX_HOST and re.fullmatch(_NAME, text) is not None
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def port_number(text: str) -> int:
    """0 for what is no port, from 1 to 65535."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return number if number <= 65_535 else 0


def forwarded_ports(text: str) -> tuple[int, int]:
    """Returns the port here and the one in the container of LOCAL:PORT, or of PORT for both. 0 here: any that is
    free. Raises Refused.
    """
    local, colon, port = text.rpartition(":")
    number = port_number(port)
    here = (0 if local == "0" else port_number(local) or -1) if colon else number
    if not number or here < 0:
        raise Refused(f"{text!r} are no ports: write LOCAL:PORT, as in 8080:80")
    return here, number
