"""A task's host name in JSON."""

import re

from orion.model.api.fields import Reading
from orion.model.errors import shown
from orion.model.templates import KNOWN, LABEL, unknown_in, unknown_words

# As RFC 1123 has it: parts of at most 63 with dots between them, and no IPv4 address. Of its 253 in all Linux takes
# 64 (HOST_NAME_MAX): with more Docker makes the container and fails to start it.
MAX_HOSTNAME = 64
MAX_TEXT = 512  # with templates
_PART = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = rf"(?=.{{1,{MAX_HOSTNAME}}}$)(?![0-9]+(\.[0-9]+){{3}}$){_PART}(\.{_PART})*"
_NAMES = "|".join((*map(re.escape, KNOWN), re.escape(LABEL) + r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"))
# What a node makes of one with templates, it looks at itself.
_TEMPLATED = rf"[A-Za-z0-9.-]*(\{{\{{ *({_NAMES}) *\}}\}}[A-Za-z0-9.-]*)+"
HOSTNAME = rf"^({_PLAIN}|{_TEMPLATED})?$"


def read_hostname(name: str, reading: Reading) -> str:
    if len(name) <= MAX_TEXT and re.fullmatch(HOSTNAME, name):
        return name
    if (unknown := unknown_in(name[:MAX_TEXT])) is not None:
        reading.wrong(f"{reading.name} {unknown_words(unknown)}")
    else:
        reading.wrong(
            f"{reading.name} {shown(name)} is no host name: write letters, digits and hyphens, with dots between "
            f"parts of at most 63, and {MAX_HOSTNAME} in all, as in db or db.example.org"
        )
    return name
