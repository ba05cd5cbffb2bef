"""Hosts that may be dialled: an IP address or a DNS name."""

import re

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
